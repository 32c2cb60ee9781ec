package ingest

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

type metrics struct {
	refused    map[problem.Code]prometheus.Counter
	shed       map[packet.Level]prometheus.Counter
	duplicates prometheus.Counter
	duration   prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer, window *dedupe.Window) (*metrics, error) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "distributor_refused_packets_total",
		Help: "Packets that were not accepted, by reason; a request that could not be read counts as one.",
	}, []string{"reason"})
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "distributor_shed_packets_total",
		Help: "Packets that were refused to leave room for more important ones (SHED), by their highest level.",
	}, []string{"level"})
	m := &metrics{
		refused: make(map[problem.Code]prometheus.Counter),
		shed:    make(map[packet.Level]prometheus.Counter),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_duplicate_packets_total",
			Help: "Packets that were accepted before and came again with the same content, which were answered and not delivered again.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "distributor_ingest_duration_seconds",
			Help:                        "From the arrival of a request's header to its answer.",
			Buckets:                     []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5},
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	for _, code := range problem.Refusals() {
		m.refused[code] = refused.WithLabelValues(string(code))
	}
	for level := packet.LevelTrace; level <= packet.LevelCritical; level++ {
		m.shed[level] = shed.WithLabelValues(level.String())
	}
	conflicts := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "distributor_id_conflicts_total",
		Help: "Packets that were accepted, and are delivered, although other content came under their ids within the duplicate window.",
	}, func() float64 {
		if window == nil {
			return 0
		}
		return float64(window.Conflicts())
	})
	return m, errors.Join(registerer.Register(conflicts), registerer.Register(refused), registerer.Register(shed),
		registerer.Register(m.duplicates), registerer.Register(m.duration))
}

// refuse counts a refusal.
func (m *metrics) refuse(code problem.Code) { m.refused[code].Inc() }
