package disk

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics has the counters and the histogram; gauges read the journal at each scrape.
type metrics struct {
	sync        prometheus.Histogram
	commits     prometheus.Counter
	quarantined prometheus.Counter
	writeErrors prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "distributor_journal_fsync_seconds",
			Help:                        "Time to write and sync one group commit.",
			Buckets:                     prometheus.ExponentialBuckets(0.0001, 2, 15),
			NativeHistogramBucketFactor: 1.1,
		}),
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_journal_commits_total", Help: "Group commits that reached stable storage.",
		}),
		quarantined: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_journal_quarantined_packets_total",
			Help: "Accepted, undelivered packets that could not be read back and were quarantined.",
		}),
		writeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_journal_write_errors_total", Help: "Failed writes and syncs of the journal.",
		}),
	}
}

// register registers the metrics; registerer may be nil.
func (j *Journal) register(registerer prometheus.Registerer) error {
	if registerer == nil {
		return nil
	}
	m := j.metrics
	collectors := []prometheus.Collector{m.sync, m.commits, m.quarantined, m.writeErrors}
	for _, collector := range append(collectors, j.gauges()...) {
		if err := registerer.Register(collector); err != nil {
			return fmt.Errorf("register the journal's metrics: %w", err)
		}
	}
	return nil
}

func (j *Journal) gauges() []prometheus.Collector {
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}
	return []prometheus.Collector{
		gauge("distributor_journal_bytes", "Bytes of the journal on disk.", func() float64 {
			return float64(j.Status().Bytes)
		}),
		gauge("distributor_journal_limit_bytes", "Maximum bytes of the journal on disk (JOURNAL_MAX_BYTES).", func() float64 {
			return float64(j.currentConfig().MaxBytes)
		}),
		gauge("distributor_journal_oldest_age_seconds", "Age of the oldest undelivered packet, 0 if there is none.", func() float64 {
			oldest := j.Status().Oldest
			if oldest.IsZero() {
				return 0
			}
			return max(0, time.Since(oldest).Seconds())
		}),
		gauge("distributor_journal_writable", "1 while the journal is writable, else 0.", func() float64 {
			if j.Status().Unwritable == nil {
				return 1
			}
			return 0
		}),
	}
}
