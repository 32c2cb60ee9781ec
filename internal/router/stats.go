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
	// Members are the present analyzers, in the order of the configuration.
	Members []MemberStats
	// Former are the analyzers that are leaving or have left, by id.
	Former []MemberStats
	// Waiting counts packets that were claimed or requeued and are not bound.
	Waiting packet.Volume
	// Quarantined counts packets, waiting or being retried, with which analyzers
	// keep failing while they accept others.
	Quarantined int
	// Delivered and DeadLettered count settled packets.
	Delivered, DeadLettered packet.Volume
	// MaxDeviationMessages is the maximum deviation of a member from its share.
	MaxDeviationMessages float64
	// LargestPacketMessages is the size of the largest packet since the active set changed.
	LargestPacketMessages int
}

// MemberStats are the statistics of one id. Its counters never decrease; analyzers that
// had the id before are included.
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
	// Delivered, Nacked and DeadLettered count the packets that left the analyzer. A
	// packet whose dead letter could not be written counts as nacked.
	Delivered, Nacked, DeadLettered packet.Volume
	// Attempted counts nacked packets that the analyzer may have received.
	Attempted int64
}

// Bound counts the packets that the analyzer holds.
func (m MemberStats) Bound() packet.Volume {
	return m.Routed.Minus(m.Delivered).Minus(m.Nacked).Minus(m.DeadLettered)
}

// Held counts packets by their last binding: each packet counts for one member.
func (m MemberStats) Held() packet.Volume { return m.Routed.Minus(m.Moved) }

// accounting counts packets. The routing goroutine records whole rounds, so that
// readers never see a part of one; the analyzers' senders record what they settle.
type accounting struct {
	settled atomic.Int64 // packets, for drainRate

	mu         sync.Mutex // guards the fields below, and the accounts of members
	stats      Stats      // without Members, Former and Quarantined
	members    []*member
	leaving    []*member               // no longer members, not yet forgotten
	byID       map[string]*member      // the latest of each id
	departed   map[string]*MemberStats // sums of forgotten analyzers
	departures []string                // keys of departed, the latest departure last
}

// recordRound binds the staged packets and updates the shares.
func (a *accounting) recordRound(members []*member, table *fairshare.Table) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range members {
		stats := &m.account.stats
		for i := range m.staged {
			a.bindLocked(&m.staged[i], stats)
		}
		stats.Effective = table.Share(m.index)
		stats.DeviationMessages = table.Deficit(m.index)
	}
	a.stats.MaxDeviationMessages, a.stats.LargestPacketMessages = table.MaxDeviation(), table.LargestPacket()
}

// bindLocked records a binding.
func (a *accounting) bindLocked(d *upstream.Delivery, to *MemberStats) {
	to.Routed.Add(d.Packet)
	if d.Analyzer != "" {
		if from := a.latestLocked(d.Analyzer); from != nil {
			from.Moved.Add(d.Packet)
			if from != to {
				from.Rerouted++
			}
		}
	}
	d.Analyzer = to.ID
	a.stats.Waiting.Subtract(d.Packet)
}

// fetched counts packets that wait for a binding.
func (a *accounting) fetched(volume packet.Volume) {
	if volume.Packets == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Waiting = a.stats.Waiting.Plus(volume)
}

// returned counts packets that go back to the journal. They no longer count for the analyzers
// that they were bound to.
func (a *accounting) returned(deliveries []upstream.Delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range deliveries {
		d := &deliveries[i]
		a.stats.Waiting.Subtract(d.Packet)
		if d.Analyzer == "" {
			continue
		}
		if from := a.latestLocked(d.Analyzer); from != nil {
			from.Moved.Add(d.Packet)
		}
	}
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
	stats.Members, stats.Former = a.allLocked()
	return stats
}
