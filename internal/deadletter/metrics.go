package deadletter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the collectors of dead letters.
type Metrics struct {
	packets, messages         map[cause]prometheus.Counter
	writeErrors, filesRemoved prometheus.Counter
}

type cause struct{ analyzer, reason string }

// NewMetrics registers the collectors, with 0 for every analyzer and reason.
func NewMetrics(registerer prometheus.Registerer, analyzers, reasons []string) (*Metrics, error) {
	labels := []string{"analyzer", "reason"}
	packets := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "distributor_dead_lettered_packets_total", Help: "Packets that the analyzer rejected, by reason.",
	}, labels)
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "distributor_dead_lettered_messages_total", Help: "Messages of packets that the analyzer rejected, by reason.",
	}, labels)
	m := &Metrics{
		packets:  make(map[cause]prometheus.Counter),
		messages: make(map[cause]prometheus.Counter),
		writeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_dead_letter_write_errors_total", Help: "Dead letters that could not be written, and failed syncs.",
		}),
		filesRemoved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_dead_letter_files_removed_total", Help: "Files of dead letters that were removed because of the limit on files.",
		}),
	}
	for _, analyzer := range analyzers {
		for _, reason := range reasons {
			c := cause{analyzer, reason}
			m.packets[c] = packets.WithLabelValues(analyzer, reason)
			m.messages[c] = messages.WithLabelValues(analyzer, reason)
		}
	}
	return m, errors.Join(registerer.Register(packets), registerer.Register(messages),
		registerer.Register(m.writeErrors), registerer.Register(m.filesRemoved))
}

func (m *Metrics) count(e Entry) {
	c := cause{e.Analyzer, e.Reason}
	if counter, ok := m.packets[c]; ok {
		counter.Inc()
		m.messages[c].Add(float64(e.Packet.Messages))
	}
}
