package upstream

import (
	"sync"
	"sync/atomic"

	"logstreamer/internal/fifo"
	"logstreamer/internal/packet"
)

// queue holds the packets that are bound to one analyzer: those that wait, and
// on its books those that senders hold. It decides when a sender may start.
type queue struct {
	// bound mirrors len(waiting)+inFlight for readers that take no lock.
	bound atomic.Int64

	mu       sync.Mutex // guards all below
	ready    sync.Cond  // a sender may start, or the queue has stopped
	waiting  fifo.Queue[*packet.Packet]
	queued   packet.Volume // what waits
	inFlight packet.Volume // what senders hold
	sending  int           // senders that hold packets
	stopped  bool
}

func newQueue() *queue {
	q := &queue{}
	q.ready.L = &q.mu
	return q
}

// offer adds packets at the end. It reports false, and takes nothing, once the
// queue has stopped.
func (q *queue) offer(packets []*packet.Packet, batch batchLimits) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return false
	}
	for _, p := range packets {
		q.waiting.Push(p)
		q.queued.Add(p)
	}
	q.mirrorLocked()
	if q.mayStartLocked(batch) {
		q.ready.Signal()
	}
	return true
}

// take waits until the caller may send, and appends what it is to send to
// dst. It reports false once the queue has stopped. The caller must call
// finished with the volume of what it got.
func (q *queue) take(dst []*packet.Packet, limits func() batchLimits) ([]*packet.Packet, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := limits()
	for !q.stopped && !q.mayStartLocked(batch) {
		q.ready.Wait()
		batch = limits()
	}
	if q.stopped {
		return nil, false
	}
	var volume packet.Volume
	for q.waiting.Len() > 0 && batch.admits(dst, volume, q.waiting.First()) {
		p := q.waiting.Pop()
		volume.Add(p)
		dst = append(dst, p)
	}
	q.queued = q.queued.Minus(volume)
	q.inFlight = q.inFlight.Plus(volume)
	q.sending++
	if q.mayStartLocked(batch) {
		q.ready.Signal()
	}
	return dst, true
}

// finished ends a sender's hold on packets that it took.
func (q *queue) finished(volume packet.Volume) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = q.inFlight.Minus(volume)
	q.sending--
	q.mirrorLocked()
}

// mayStartLocked tells whether one more sender may start. The more are under
// way the more must wait, four times as many for each, so that batches grow
// under load, while the first two start at once.
func (q *queue) mayStartLocked(batch batchLimits) bool {
	needed := 1
	if q.sending > 1 {
		needed = min(1<<min(2*(q.sending-1), 20), batch.packets) // no shift beyond an int
	}
	return q.waiting.Len() >= needed
}

// trim takes the newest of what waits until at most keep packets are bound,
// and returns them, newest first.
func (q *queue) trim(keep int64) []*packet.Packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	var taken []*packet.Packet
	for q.waiting.Len() > 0 && q.queued.Packets+q.inFlight.Packets > keep {
		p := q.waiting.PopLast()
		q.queued.Subtract(p)
		taken = append(taken, p)
	}
	q.mirrorLocked()
	return taken
}

// stop ends take for all senders.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.ready.Broadcast()
}

// volumes returns what waits and what senders hold, at one moment.
func (q *queue) volumes() (queued, inFlight packet.Volume) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued, q.inFlight
}

func (q *queue) mirrorLocked() {
	q.bound.Store(q.queued.Packets + q.inFlight.Packets)
}
