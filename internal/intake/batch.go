package intake

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Batch has packets that are appended to the journal together: the packets of one request (Accept),
// or of many requests that must not block (Submit, Finish). It is used by one goroutine, for one
// batch after another: Reset empties it.
type Batch struct {
	intake     *Intake
	candidates []Candidate      // that go to the journal
	packets    []*packet.Packet // of candidates
	joined     []Candidate      // that another request is storing
	results    []Result         // of all, in the order of Add
	held       int64            // bytes of the memory of packets
	accepted   int
	deliveries chan packet.DeliveryResult // nil unless Accept was called with AckDelivered

	// Of Submit:
	committer Committer
	appended  []*appended  // of which the first appends are in use
	appends   int          //
	waiting   atomic.Int32 // appends that are not committed, or more while Submit runs
}

// Committer is notified of a submitted Batch.
type Committer interface {
	// OnCommit is called when Finish may be called. It must neither block nor call
	// the journal.
	OnCommit()
}

// NewBatch returns an empty batch.
func (i *Intake) NewBatch() *Batch { return &Batch{intake: i} }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.candidates)
	clear(b.packets)
	clear(b.joined)
	b.candidates, b.packets, b.joined, b.results = b.candidates[:0], b.packets[:0], b.joined[:0], b.results[:0]
	b.held, b.accepted, b.deliveries, b.committer, b.appends = 0, 0, nil, nil, 0
}

// Len returns the number of packets.
func (b *Batch) Len() int { return len(b.results) }

// Add adds a candidate. The batch owns its packet.
func (b *Batch) Add(c *Candidate) {
	c.result = len(b.results)
	b.results = append(b.results, Result{})
	if c.InFlight() {
		b.joined = append(b.joined, *c)
		return
	}
	b.held += c.Packet.Footprint()
	b.candidates, b.packets = append(b.candidates, *c), append(b.packets, c.Packet)
}

// Accept appends the packets to the journal, waits until they are as durable as the level requires,
// except for AckDelivered, and returns the results in the order of Add.
func (b *Batch) Accept(ack Ack) []Result {
	b.notify(ack)
	for next := 0; next < len(b.packets); {
		taken, err := b.intake.deps.Journal.Append(b.packets[next:])
		b.accept(next, next+taken)
		next = b.refuse(next+taken, err)
	}
	b.intake.memory.Free(b.held)
	b.resolveJoined()
	return b.results
}

// notify has the results of deliveries sent to the batch if the level needs them.
func (b *Batch) notify(ack Ack) {
	if ack != AckDelivered || len(b.packets) == 0 {
		return
	}
	b.deliveries = make(chan packet.DeliveryResult, len(b.packets))
	for _, p := range b.packets {
		p.DeliveryChan = b.deliveries
	}
}

// resolveJoined waits for the packets that other requests are storing. The reservations of
// this batch have ended, so that no two batches wait for each other.
func (b *Batch) resolveJoined() {
	for i := range b.joined {
		c := &b.joined[i]
		b.results[c.result] = b.intake.resolve(c)
		b.intake.memory.Drop(c.Packet)
	}
}

// AwaitsDelivery reports whether the level is AckDelivered and packets of the batch went to the
// journal.
func (b *Batch) AwaitsDelivery() bool { return b.deliveries != nil }

// AwaitDeliveries waits for the delivery of the accepted packets if AwaitsDelivery, at most for
// AckTimeout or until the context ends. It returns the results in the order in which they came
// before that; duplicates have none.
func (b *Batch) AwaitDeliveries(ctx context.Context) []packet.DeliveryResult {
	if b.deliveries == nil {
		return nil
	}
	return awaitDeliveries(ctx, b.deliveries, b.accepted, b.intake.config.Load().AckTimeout)
}

// accept records that the journal has taken packets.
func (b *Batch) accept(from, to int) {
	for i := from; i < to; i++ {
		c := &b.candidates[i]
		c.accept()
		b.results[c.result].Outcome = Accepted
	}
	b.accepted += to - from
}

// refuse refuses packets that the journal did not take, and returns the index of the next packet to
// try. After a packet without capacity, or a packet that is too large, the other packets are still
// tried, because they may be smaller or of another emitter.
func (b *Batch) refuse(from int, err error) (next int) {
	to := len(b.candidates)
	if errors.Is(err, journal.ErrFull) || errors.Is(err, journal.ErrTooLarge) {
		to = min(from+1, to)
	}
	b.reject(from, to, err)
	return to
}

func (b *Batch) reject(from, to int, err error) {
	for i := from; i < to; i++ {
		c := &b.candidates[i]
		b.results[c.result] = b.intake.rollback(c, err)
		c.Packet.Release()
	}
}

// appended has packets of a submitted batch that the journal took together.
type appended struct {
	batch    *Batch
	from, to int
	err      error // of the commit
}

// OnCommit implements journal.Waiter.
func (a *appended) OnCommit(err error) {
	a.err = err
	if b := a.batch; b.waiting.Add(-1) == 0 {
		b.committer.OnCommit()
	}
}

// append returns the next element of appended.
func (b *Batch) append() *appended {
	if b.appends == len(b.appended) {
		b.appended = append(b.appended, new(appended))
	}
	a := b.appended[b.appends]
	b.appends++
	*a = appended{batch: b}
	return a
}

// Submit appends the packets to the journal without waiting. If pending is true,
// OnCommit is called once, after which Finish may be called; otherwise Finish may be
// called at once. No candidate may be in flight.
func (b *Batch) Submit(w Committer) (pending bool) {
	b.committer = w
	most := int32(len(b.packets)) + 1 // appends, and Submit
	b.waiting.Store(most)
	uncommitted := int32(0)
	for next := 0; next < len(b.packets); {
		a := b.append()
		taken, pending, err := b.intake.deps.Journal.AppendAsync(b.packets[next:], a)
		a.from, a.to = next, next+taken
		if pending {
			uncommitted++
		}
		next = b.refuse(next+taken, err)
	}
	return uncommitted > 0 && b.waiting.Add(uncommitted-most) > 0
}

// Finish returns the results of a submitted batch in the order of Add.
func (b *Batch) Finish() []Result {
	b.intake.memory.Free(b.held)
	for _, a := range b.appended[:b.appends] {
		if a.err != nil {
			b.reject(a.from, a.to, a.err)
		} else {
			b.accept(a.from, a.to)
		}
	}
	return b.results
}
