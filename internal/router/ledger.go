package router

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// Stats is a consistent snapshot of the router.
type Stats struct {
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

// MemberStats are the statistics of one analyzer.
type MemberStats struct {
	ID string
	// Target is the configured share, Effective the current one.
	Target, Effective float64
	// DeviationMessages is by how many messages the member is below its share
	// (above it, if negative) since the set of active members last changed.
	DeviationMessages float64
	// Routed counts every binding, Moved those that were followed by another.
	Routed, Moved packet.Volume
}

// Held counts packets by their last binding: each packet counts for one member.
func (m MemberStats) Held() packet.Volume { return m.Routed.Minus(m.Moved) }

// Reroute is a pair of analyzers between which packets moved.
type Reroute struct{ From, To string }

// ledger accounts for packets and holds requeued ones. The routing goroutine
// records whole rounds, so that readers never see a part of one; the analyzers'
// senders record what they settle.
type ledger struct {
	settled atomic.Int64 // packets, for drainRate

	mu       sync.Mutex // guards the fields below
	stats    Stats
	reroutes map[Reroute]int64
	// Nacked packets without failures. The retry budget limits attempted ones,
	// which an analyzer may have received.
	attempted, unattempted ring.Queue[*packet.Packet]
	retries                retryQueue
	deadLetterRetries      deadLetterRetryQueue
}

func (l *ledger) open(ids []string, weights []float64) {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	for i, id := range ids {
		l.stats.Members = append(l.stats.Members, MemberStats{ID: id, Target: weights[i] / sum})
	}
	l.reroutes = make(map[Reroute]int64)
}

// recordRound binds the staged packets and updates the shares.
func (l *ledger) recordRound(members []*member, table *fairshare.Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, m := range members {
		stats := &l.stats.Members[i]
		for _, p := range m.staged {
			l.bindLocked(p, i)
		}
		stats.Effective = table.Share(i)
		stats.DeviationMessages = table.Deficit(i)
	}
	l.stats.MaxDeviationMessages = table.MaxDeviation()
}

func (l *ledger) bindLocked(p *packet.Packet, to int) {
	members := l.stats.Members
	members[to].Routed.Add(p)
	if from := p.Analyzer; from != packet.NoAnalyzer {
		members[from].Moved.Add(p)
		if from != to {
			l.reroutes[Reroute{members[from].ID, members[to].ID}]++
		}
	}
	p.Analyzer = to
	l.stats.Waiting.Subtract(p)
}

func (l *ledger) claimed(volume packet.Volume) {
	if volume.Packets == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Waiting = l.stats.Waiting.Plus(volume)
}

// delivered reports whether the quarantine became empty, and whether requeued
// packets became ready.
func (l *ledger) delivered(packets []*packet.Packet) (lastQuarantined, ready bool) {
	volume := packet.VolumeOf(packets)
	l.settled.Add(volume.Packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Delivered = l.stats.Delivered.Plus(volume)
	return l.settleLocked(packets, true)
}

// deadLettered has the results of delivered.
func (l *ledger) deadLettered(packets []*packet.Packet) (lastQuarantined, ready bool) {
	volume := packet.VolumeOf(packets)
	l.settled.Add(volume.Packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.DeadLettered = l.stats.DeadLettered.Plus(volume)
	lastQuarantined, ready = l.settleLocked(packets, false)
	if volume.Packets > 0 && l.deadLetterRetries.reset() {
		ready = true
	}
	return lastQuarantined, ready
}

func (l *ledger) settleLocked(packets []*packet.Packet, delivered bool) (lastQuarantined, ready bool) {
	retries, deadLetters := l.retries.outstanding, l.deadLetterRetries.outstanding
	if retries == 0 && deadLetters == 0 {
		return false, false
	}
	for _, p := range packets {
		if p.DeadLetterPending {
			l.deadLetterRetries.settle()
		} else if l.retries.settle(p, delivered) {
			lastQuarantined = true
		}
	}
	ready = l.retries.outstanding < retries && len(l.retries.waiting) > 0 ||
		l.deadLetterRetries.outstanding < deadLetters && l.deadLetterRetries.waiting.Len() > 0
	return lastQuarantined, ready
}

// requeueDeadLetters requeues rejected packets whose dead letters could not be
// written. It has the results of delivered.
func (l *ledger) requeueDeadLetters(packets []*packet.Packet, now time.Time) (lastQuarantined, ready bool) {
	if len(packets) == 0 {
		return false, false
	}
	volume := packet.VolumeOf(packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Waiting = l.stats.Waiting.Plus(volume)
	for _, p := range packets {
		if !p.DeadLetterPending && l.retries.settle(p, false) {
			lastQuarantined = true
		}
		l.deadLetterRetries.push(p, now)
	}
	return lastQuarantined, true
}

// nacked requeues packets. It describes the packet that was quarantined while the
// quarantine was empty, if any.
func (l *ledger) nacked(packets []*packet.Packet) (firstQuarantined *quarantinedPacket) {
	volume := packet.VolumeOf(packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Waiting = l.stats.Waiting.Plus(volume)
	for _, p := range packets {
		switch {
		case p.Failures != nil:
			if p.DeadLetterPending {
				l.deadLetterRetries.release(p)
			}
			if l.retries.push(p) {
				firstQuarantined = describePacket(p)
			}
		case p.DeadLetterPending:
			l.deadLetterRetries.requeue(p)
		case p.Attempted:
			l.attempted.Push(p)
		default:
			l.unattempted.Push(p)
		}
	}
	return firstQuarantined
}

// requeued holds numbers of packets in the queues of the ledger.
type requeued struct {
	unattempted, attempted int
	failed                 int // ready packets of the retry queue
	deadLetters            int // ready packets of the dead-letter retry queue
}

func (l *ledger) requeued(activeMembers int, now time.Time) requeued {
	l.mu.Lock()
	defer l.mu.Unlock()
	return requeued{
		unattempted: l.unattempted.Len(), attempted: l.attempted.Len(),
		failed: l.retries.ready(activeMembers, now), deadLetters: l.deadLetterRetries.ready(now),
	}
}

// takeRequeued appends requeued packets to dst, oldest first: all unattempted ones
// and the given numbers of the others.
func (l *ledger) takeRequeued(dst []*packet.Packet, limit requeued, now time.Time) []*packet.Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.unattempted.Len() > 0 {
		dst = append(dst, l.unattempted.Pop())
	}
	for range min(limit.attempted, l.attempted.Len()) {
		p := l.attempted.Pop()
		p.Attempted = false
		dst = append(dst, p)
	}
	dst = l.deadLetterRetries.take(dst, limit.deadLetters)
	return l.retries.take(dst, limit.failed, now)
}

func (l *ledger) expedite() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retries.expedite()
	l.deadLetterRetries.expedite()
}

func (l *ledger) settledPackets() int64 { return l.settled.Load() }

func (l *ledger) read() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.statsLocked()
}

// readAll also returns the reroutes, of which there may be one per pair of members.
func (l *ledger) readAll() (Stats, map[Reroute]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.statsLocked(), maps.Clone(l.reroutes)
}

func (l *ledger) statsLocked() Stats {
	stats := l.stats
	stats.Quarantined = l.retries.quarantined
	stats.Members = slices.Clone(l.stats.Members)
	return stats
}

// Stats returns the statistics after the last whole round. It may be called
// concurrently.
func (r *Router) Stats() Stats { return r.ledger.read() }
