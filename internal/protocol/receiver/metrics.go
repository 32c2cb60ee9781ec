package receiver

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Metrics are the counters of inputs.
type Metrics struct {
	packets, records, duplicates, skewed *prometheus.CounterVec
	refused, rejected                    *prometheus.CounterVec
	kernelDrops                          *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	r := metric.On(registerer)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return r.Counters(name, help, append([]string{"input"}, labels...)...)
	}
	m := &Metrics{
		packets:     counter("distributor_input_packets_total", "Packets that were accepted, by the protocol of INPUTS by which their records came."),
		records:     counter("distributor_input_records_total", "Log records that were accepted, by the protocol of INPUTS."),
		duplicates:  counter("distributor_input_duplicate_packets_total", "Packets that came again and were answered, by the protocol of INPUTS."),
		skewed:      counter("distributor_input_skewed_records_total", "Log records whose timestamp is more than a day in the future or a week in the past, by the protocol of INPUTS."),
		refused:     counter("distributor_input_refused_requests_total", "Requests and datagrams that were refused, by the protocol of INPUTS and by reason.", "reason"),
		rejected:    counter("distributor_input_rejected_records_total", "Log records that were refused for good, because of what they are or because their protocol has no refusal, by the protocol of INPUTS and by reason.", "reason"),
		kernelDrops: counter("distributor_input_kernel_drops_total", "Datagrams that the kernel dropped because the socket's buffer was full, by the protocol of INPUTS; known with the next datagram, on Linux."),
	}
	return m, r.Err()
}

// counters are the counters of one input.
type counters struct {
	packets, records, duplicates, skewed prometheus.Counter
	kernelDrops                          prometheus.Counter
	refused                              map[problem.Code]prometheus.Counter // never changes
	rejected                             map[problem.Code]*rejections        // never changes
	closed                               map[problem.Code]*series            // of connections; never changes
}

// quietInterval is the time without events after which the next one is logged again.
const quietInterval = time.Minute

// series is a sequence of events of which the first one is logged. It may be used concurrently.
type series struct {
	latest atomic.Int64 // nanoseconds since 1970
}

// begins reports whether an event is the first one after quietInterval without any.
func (s *series) begins(now time.Time) bool {
	return now.UnixNano()-s.latest.Swap(now.UnixNano()) >= int64(quietInterval)
}

// rejections counts the rejected records of an input and a reason. It may be used concurrently.
type rejections struct {
	records prometheus.Counter
	series
}

// add counts records, and reports whether they begin a series.
func (r *rejections) add(records int, now time.Time) (first bool) {
	r.records.Add(float64(records))
	return r.begins(now)
}

func (m *Metrics) of(input string) counters {
	c := counters{
		packets: m.packets.WithLabelValues(input), records: m.records.WithLabelValues(input),
		duplicates: m.duplicates.WithLabelValues(input), skewed: m.skewed.WithLabelValues(input),
		kernelDrops: m.kernelDrops.WithLabelValues(input),
		refused:     make(map[problem.Code]prometheus.Counter), rejected: make(map[problem.Code]*rejections), closed: make(map[problem.Code]*series),
	}
	for _, code := range append(problem.Refusals(), problem.AckTimeout) {
		c.refused[code] = m.refused.WithLabelValues(input, string(code))
		c.rejected[code] = &rejections{records: m.rejected.WithLabelValues(input, string(code))}
		c.closed[code] = new(series)
	}
	return c
}

func (c *counters) refuse(code problem.Code) { c.refused[code].Inc() }
