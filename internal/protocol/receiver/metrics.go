package receiver

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

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
	var errs []error
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"input"}, labels...))
		errs = append(errs, registerer.Register(c))
		return c
	}
	m := &Metrics{
		packets:     counter("distributor_input_packets_total", "Packets that were accepted, by the protocol of INPUTS by which their records came."),
		records:     counter("distributor_input_records_total", "Log records that were accepted, by the protocol of INPUTS."),
		duplicates:  counter("distributor_input_duplicate_packets_total", "Packets that came again and were answered, by the protocol of INPUTS."),
		skewed:      counter("distributor_input_skewed_records_total", "Log records whose timestamp is more than a day in the future or a week in the past, by the protocol of INPUTS."),
		refused:     counter("distributor_input_refused_requests_total", "Requests and datagrams that were refused, by the protocol of INPUTS and by reason.", "reason"),
		rejected:    counter("distributor_input_rejected_records_total", "Log records that were refused for good, because of what they are or because their sender cannot be told to send them again, by the protocol of INPUTS and by reason.", "reason"),
		kernelDrops: counter("distributor_input_kernel_drops_total", "Datagrams that the kernel dropped because the socket's buffer was full, by the protocol of INPUTS; known with the next datagram, on Linux."),
	}
	return m, errors.Join(errs...)
}

// counters are those of one input.
type counters struct {
	packets, records, duplicates, skewed prometheus.Counter
	kernelDrops                          prometheus.Counter
	refused, rejected                    map[problem.Code]prometheus.Counter // never change
}

func (m *Metrics) of(input string) counters {
	c := counters{
		packets: m.packets.WithLabelValues(input), records: m.records.WithLabelValues(input),
		duplicates: m.duplicates.WithLabelValues(input), skewed: m.skewed.WithLabelValues(input),
		kernelDrops: m.kernelDrops.WithLabelValues(input),
		refused:     make(map[problem.Code]prometheus.Counter), rejected: make(map[problem.Code]prometheus.Counter),
	}
	for _, code := range append(problem.Refusals(), problem.AckTimeout) {
		c.refused[code] = m.refused.WithLabelValues(input, string(code))
		c.rejected[code] = m.rejected.WithLabelValues(input, string(code))
	}
	return c
}

func (c *counters) refuse(code problem.Code) { c.refused[code].Inc() }

func (c *counters) reject(code problem.Code, records int) { c.rejected[code].Add(float64(records)) }
