package deadletter

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/metric"
)

// Metrics are the collectors of dead letters. They may be used concurrently.
type Metrics struct {
	reasons                   []string
	packets, messages         *prometheus.CounterVec // by analyzer and reason
	writeErrors, filesRemoved atomic.Int64
	replayed, deleted         prometheus.Counter

	mu        sync.Mutex // guards analyzers
	analyzers map[string]bool
}

type cause struct{ analyzer, reason string }

// NewMetrics registers the collectors. reasons are all reasons of entries.
func NewMetrics(registerer prometheus.Registerer, reasons []string) (*Metrics, error) {
	r := metric.On(registerer)
	m := &Metrics{
		reasons: reasons, analyzers: make(map[string]bool),
		packets:  r.Counters("distributor_dead_lettered_packets_total", "Packets that the analyzer rejected, by reason.", "analyzer", "reason"),
		messages: r.Counters("distributor_dead_lettered_messages_total", "Messages of packets that the analyzer rejected, by reason.", "analyzer", "reason"),
		replayed: r.Counter("distributor_dead_letters_replayed_total", "Dead letters that were accepted again; they count as accepted packets too."),
		deleted:  r.Counter("distributor_dead_letters_deleted_total", "Dead letters that were deleted by operators."),
	}
	counter := func(name, help string, count *atomic.Int64) {
		r.CounterFunc(name, help, nil, func() float64 { return float64(count.Load()) })
	}
	counter("distributor_dead_letter_write_errors_total", "Dead letters that could not be written, and failed syncs.", &m.writeErrors)
	counter("distributor_dead_letter_files_removed_total", "Files of dead letters that were removed because of the limit on files.", &m.filesRemoved)
	return m, r.Err()
}

// WriteErrors returns the number of dead letters that could not be written, and of failed syncs.
func (s *Store) WriteErrors() int64 { return s.metrics.writeErrors.Load() }

// FilesRemoved returns the number of files that were removed because of the limit on files.
func (s *Store) FilesRemoved() int64 { return s.metrics.filesRemoved.Load() }

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
