package analyzer

import (
	"cmp"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Stats is what an analyzer did since it was made.
type Stats struct {
	Analyzer string `json:"analyzer"`
	// Packets were processed, with so many Messages; duplicates are not among
	// them.
	Packets    int64 `json:"packets"`
	Messages   int64 `json:"messages"`
	Duplicates int64 `json:"duplicates"` // packets
	// IDConflicts counts packets processed although other content came under
	// their ids before.
	IDConflicts int64 `json:"id_conflicts"`
	// Refused counts packets by the code of the refusal.
	Refused map[string]int64 `json:"refused"`
	// ByLevel counts messages by their level's usual name; UNKNOWN are those
	// whose level has another one.
	ByLevel map[string]int64 `json:"by_level"`
	// ByService has the services with the most messages, in that order.
	ByService     []ServiceCount `json:"by_service"`
	UptimeSeconds float64        `json:"uptime_seconds"`
}

// ServiceCount is how many messages a service sent. The services "none" and
// "other" stand for messages without one, and for those that are not counted
// by name.
type ServiceCount struct {
	Service  string `json:"service"`
	Messages int64  `json:"messages"`
}

// topServices is how many services Stats lists.
const topServices = 10

// Stats returns what was counted up to now. Counters are read one after the
// other, so that their sums agree only while nothing is processed.
func (a *Analyzer) Stats() Stats {
	services := a.tally.services()
	return Stats{
		Analyzer:      a.config.ID,
		Packets:       a.tally.packets.Load(),
		Messages:      a.tally.messages.Load(),
		Duplicates:    a.tally.duplicates.Load(),
		IDConflicts:   a.window.Conflicts(),
		Refused:       a.tally.refusedByCode(),
		ByLevel:       a.tally.levels(),
		ByService:     services[:min(len(services), topServices)],
		UptimeSeconds: time.Since(a.started).Seconds(),
	}
}

func (t *tally) refusedByCode() map[string]int64 {
	counts := make(map[string]int64, len(t.refused))
	for code, counter := range t.refused {
		counts[string(code)] = counter.Load()
	}
	return counts
}

func (t *tally) levels() map[string]int64 {
	counts := make(map[string]int64, levels)
	for level := range levels {
		counts[packet.Level(level).String()] = t.byLevel[level].Load()
	}
	return counts
}

// services returns those that have messages, the most first.
func (t *tally) services() []ServiceCount {
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
