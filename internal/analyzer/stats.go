package analyzer

import (
	"cmp"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Stats holds an analyzer's counters since its start.
type Stats struct {
	Analyzer string `json:"analyzer"`
	// Packets and Messages were processed, without duplicates.
	Packets    int64 `json:"packets"`
	Messages   int64 `json:"messages"`
	Duplicates int64 `json:"duplicates"` // packets
	// IDConflicts counts packets processed whose ids were used by other
	// content.
	IDConflicts int64 `json:"id_conflicts"`
	// Refused counts packets by the code of the refusal.
	Refused map[string]int64 `json:"refused"`
	// ByLevel counts messages by canonical level; UNKNOWN counts other levels.
	ByLevel map[string]int64 `json:"by_level"`
	// ByService lists the services with the most messages, in descending order.
	ByService     []ServiceCount `json:"by_service"`
	UptimeSeconds float64        `json:"uptime_seconds"`
}

// ServiceCount is the number of messages of a service. "none" and "other" count
// messages without a service and of services not counted by name.
type ServiceCount struct {
	Service  string `json:"service"`
	Messages int64  `json:"messages"`
}

// topServices limits the services in Stats.
const topServices = 10

// Stats returns the counters. They are read one after another, so sums agree
// only while nothing is processed.
func (a *Analyzer) Stats() Stats {
	services := a.counters.services()
	return Stats{
		Analyzer:      a.config.ID,
		Packets:       a.counters.packets.Load(),
		Messages:      a.counters.messages.Load(),
		Duplicates:    a.counters.duplicates.Load(),
		IDConflicts:   a.window.Conflicts(),
		Refused:       a.counters.refusedByCode(),
		ByLevel:       a.counters.levels(),
		ByService:     services[:min(len(services), topServices)],
		UptimeSeconds: time.Since(a.started).Seconds(),
	}
}

func (t *counters) refusedByCode() map[string]int64 {
	counts := make(map[string]int64, len(t.refused))
	for code, counter := range t.refused {
		counts[string(code)] = counter.Load()
	}
	return counts
}

func (t *counters) levels() map[string]int64 {
	counts := make(map[string]int64, levels)
	for level := range levels {
		counts[packet.Level(level).String()] = t.byLevel[level].Load()
	}
	return counts
}

// services returns the services with messages, in descending order.
func (t *counters) services() []ServiceCount {
	t.mu.RLock()
	counts := make([]ServiceCount, 0, len(t.byService))
	for name, counter := range t.byService {
		if n := counter.Load(); n > 0 {
			counts = append(counts, ServiceCount{name, n})
		}
	}
	t.mu.RUnlock()
	slices.SortFunc(counts, func(x, y ServiceCount) int {
		return cmp.Or(cmp.Compare(y.Messages, x.Messages), cmp.Compare(x.Service, y.Service))
	})
	return counts
}
