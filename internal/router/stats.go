package router

import (
	"sync"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Stats is a consistent snapshot of the router.
type Stats struct {
	// Members are the present analyzers, in the order in which they were added.
	Members []MemberStats
	// Waiting counts packets that were claimed or requeued and are not bound.
	Waiting packet.Volume
	// Quarantined counts packets, waiting or being retried, with which analyzers
	// keep failing while they accept others.
	Quarantined int
	// Delivered and DeadLettered count settled packets.
	Delivered, DeadLettered packet.Volume
	// MaxDeviationMessages is the maximum deviation of a member from its share.
	MaxDeviationMessages float64
}

// MemberStats are the statistics of one analyzer since it was added.
type MemberStats struct {
	ID string
	// Target is the configured share, Effective the current one.
	Target, Effective float64
	// DeviationMessages is by how many messages the member is below its share
	// (above it, if negative) since the set of active members last changed.
	DeviationMessages float64
	// Routed counts every binding, Moved those that were followed by another.
	Routed, Moved packet.Volume
	// Rerouted counts the packets whose next binding was to another member.
	Rerouted int64
}

// Held counts packets by their last binding: each packet counts for one member.
func (m MemberStats) Held() packet.Volume { return m.Routed.Minus(m.Moved) }

// accounting counts packets. The routing goroutine records whole rounds, so that
// readers never see a part of one; the analyzers' senders record what they settle.
type accounting struct {
	settled atomic.Int64 // packets, for drainRate

	mu      sync.Mutex // guards the fields below, and the stats of members
	stats   Stats      // without Members and Quarantined
	members []*member
}

// setMembers replaces the list of members, of which it takes a copy.
func (a *accounting) setMembers(members []*member) {
	var sum float64
	for _, m := range members {
		sum += m.weight
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.members = append([]*member(nil), members...)
	for _, m := range members {
		m.stats.ID, m.stats.Target = m.ID(), m.weight/sum
	}
}

// recordRound binds the staged packets and updates the shares.
func (a *accounting) recordRound(members []*member, table *fairshare.Table, byID map[string]*member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range members {
		for i := range m.staged {
			a.bindLocked(&m.staged[i], m, byID)
		}
		m.stats.Effective = table.Share(m.index)
		m.stats.DeviationMessages = table.Deficit(m.index)
	}
	a.stats.MaxDeviationMessages = table.MaxDeviation()
}

func (a *accounting) bindLocked(d *upstream.Delivery, to *member, byID map[string]*member) {
	to.stats.Routed.Add(d.Packet)
	if d.Analyzer != "" {
		if from := byID[d.Analyzer]; from != nil {
			from.stats.Moved.Add(d.Packet)
			if from != to {
				from.stats.Rerouted++
			}
		}
	}
	d.Analyzer = to.stats.ID
	a.stats.Waiting.Subtract(d.Packet)
}

// waiting counts packets that are claimed or returned.
func (a *accounting) waiting(volume packet.Volume) {
	if volume.Packets == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Waiting = a.stats.Waiting.Plus(volume)
}

func (a *accounting) delivered(volume packet.Volume) {
	a.settled.Add(volume.Packets)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Delivered = a.stats.Delivered.Plus(volume)
}

func (a *accounting) deadLettered(volume packet.Volume) {
	a.settled.Add(volume.Packets)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.DeadLettered = a.stats.DeadLettered.Plus(volume)
}

// Stats returns the statistics after the last whole round. It may be called
// concurrently.
func (r *Router) Stats() Stats {
	quarantined := r.requeue.quarantined()
	a := &r.accounting
	a.mu.Lock()
	defer a.mu.Unlock()
	stats := a.stats
	stats.Quarantined = quarantined
	stats.Members = make([]MemberStats, 0, len(a.members))
	for _, m := range a.members {
		stats.Members = append(stats.Members, m.stats)
	}
	return stats
}
