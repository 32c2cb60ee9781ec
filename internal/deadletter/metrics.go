package deadletter

import (
	"errors"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the collectors of dead letters. They may be used concurrently.
type Metrics struct {
	reasons                   []string
	packets, messages         *prometheus.CounterVec // by analyzer and reason
	writeErrors, filesRemoved prometheus.Counter
	replayed, deleted         prometheus.Counter

	mu        sync.Mutex // guards analyzers
	analyzers map[string]bool
}

type cause struct{ analyzer, reason string }

// NewMetrics registers the collectors. reasons are all reasons of entries.
func NewMetrics(registerer prometheus.Registerer, reasons []string) (*Metrics, error) {
	labels := []string{"analyzer", "reason"}
	m := &Metrics{
		reasons: reasons, analyzers: make(map[string]bool),
		packets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "distributor_dead_lettered_packets_total", Help: "Packets that the analyzer rejected, by reason.",
		}, labels),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "distributor_dead_lettered_messages_total", Help: "Messages of packets that the analyzer rejected, by reason.",
		}, labels),
		writeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_dead_letter_write_errors_total", Help: "Dead letters that could not be written, and failed syncs.",
		}),
		filesRemoved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_dead_letter_files_removed_total", Help: "Files of dead letters that were removed because of the limit on files.",
		}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_dead_letters_replayed_total", Help: "Dead letters that were accepted again; they count as accepted packets too.",
		}),
		deleted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "distributor_dead_letters_deleted_total", Help: "Dead letters that were deleted by operators.",
		}),
	}
	return m, errors.Join(registerer.Register(m.packets), registerer.Register(m.messages),
		registerer.Register(m.writeErrors), registerer.Register(m.filesRemoved),
		registerer.Register(m.replayed), registerer.Register(m.deleted))
}

// Add starts the counters of an analyzer at 0.
func (m *Metrics) Add(analyzer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.analyzers[analyzer] = true
	for _, reason := range m.reasons {
		m.packets.WithLabelValues(analyzer, reason)
		m.messages.WithLabelValues(analyzer, reason)
	}
}

// Remove removes the counters of an analyzer.
func (m *Metrics) Remove(analyzer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.analyzers, analyzer)
	label := prometheus.Labels{"analyzer": analyzer}
	m.packets.DeletePartialMatch(label)
	m.messages.DeletePartialMatch(label)
}

// counts reports whether there are counters of a cause.
func (m *Metrics) counts(c cause) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.analyzers[c.analyzer] && slices.Contains(m.reasons, c.reason)
}

func (m *Metrics) count(e Entry) {
	if !m.counts(cause{e.Analyzer, e.Reason}) {
		return
	}
	m.packets.WithLabelValues(e.Analyzer, e.Reason).Inc()
	m.messages.WithLabelValues(e.Analyzer, e.Reason).Add(float64(e.Packet.Messages))
}
