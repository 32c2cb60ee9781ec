package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// queue holds the packets that are bound to one analyzer: those that wait, and
// on its books those that senders hold. It decides when a sender may start.
type queue struct {
	// bound mirrors len(waiting)+inFlight for readers that take no lock.
	bound atomic.Int64

	mu       sync.Mutex // guards all below
	idle     []*seat    // of senders that wait; who came last starts first
	waiting  ring.Queue[*packet.Packet]
	queued   packet.Volume // what waits
	inFlight packet.Volume // what senders hold
	sending  int           // senders that hold packets
	urgent   int           // waiting packets whose emitters wait for their delivery
	resting  time.Time     // until when a request must be worth its while to begin
	late     time.Time     // from when on one more sender may start with any packet
	alarm    *time.Timer   // calls a sender when one of them has come
	rings    time.Time     // when it does so; zero while it does not run
	stopped  bool
}

// longestGathering is how long packets wait to be enough for one more sender.
const longestGathering = 20 * time.Millisecond

// seat is where one sender waits until it may start. The queue calls the one
// that has waited least: its connection, and what it keeps in memory, are used
// again before they are cold, and few connections do the work of a quiet hour.
type seat struct {
	called sync.Cond // the sender is to look again
}

func newQueue() *queue {
	q := &queue{}
	q.alarm = time.AfterFunc(time.Hour, q.ring)
	q.alarm.Stop()
	return q
}

// seat returns a place for one sender to wait at.
func (q *queue) seat() *seat {
	s := &seat{}
	s.called.L = &q.mu
	return s
}

// waitLocked waits until the sender is called.
func (q *queue) waitLocked(s *seat) {
	q.idle = append(q.idle, s)
	s.called.Wait()
}

// callLocked calls one sender, if any waits.
func (q *queue) callLocked() {
	if last := len(q.idle) - 1; last >= 0 {
		s := q.idle[last]
		q.idle = q.idle[:last]
		s.called.Signal()
	}
}

// ring lets a sender take what has gathered.
func (q *queue) ring() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rings = time.Time{}
	q.callLocked()
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
		q.urgent += urgency(p)
	}
	q.mirrorLocked()
	if q.mayStartLocked(batch) {
		q.callLocked()
	}
	return true
}

// take waits in its seat until the caller may send, and appends what it is to
// send to dst. It reports false once the queue has stopped. The caller must call
// finished with the volume of what it got.
func (q *queue) take(s *seat, dst []*packet.Packet, limits func() batchLimits) ([]*packet.Packet, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := limits()
	for !q.stopped && !q.mayStartLocked(batch) {
		q.waitLocked(s)
		batch = limits()
	}
	if q.stopped {
		return nil, false
	}
	var volume packet.Volume
	for q.waiting.Len() > 0 && batch.admits(dst, volume, q.waiting.First()) {
		p := q.waiting.Pop()
		volume.Add(p)
		q.urgent -= urgency(p)
		dst = append(dst, p)
	}
	q.queued = q.queued.Minus(volume)
	q.inFlight = q.inFlight.Plus(volume)
	q.sending++
	q.restLocked(batch)
	if q.mayStartLocked(batch) {
		q.callLocked()
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

// restLocked has what comes wait for more. What a batch left behind, since it was
// whole or since the two may not share a request, has waited already.
func (q *queue) restLocked(batch batchLimits) {
	q.resting = time.Time{}
	if batch.packets == 1 {
		return // there is nothing to wait for
	}
	now := time.Now()
	q.late = now.Add(longestGathering)
	if q.waiting.Len() == 0 {
		q.resting = now.Add(batch.spacing)
	}
}

// mayStartLocked tells whether one more sender may start. If not, one is called
// when it may, unless others start before.
func (q *queue) mayStartLocked(batch batchLimits) bool {
	waiting := q.waiting.Len()
	if waiting == 0 || q.urgent > 0 {
		return waiting > 0
	}
	at := q.resting
	switch {
	case waiting < q.neededLocked(batch):
		if !q.rings.IsZero() {
			return false // it is looked at again then, which is no later
		}
		at = q.late
	case waiting >= batch.enough:
		return true
	}
	rest := time.Until(at)
	if rest <= 0 {
		return true
	}
	if q.rings.IsZero() || at.Before(q.rings) {
		q.rings = at
		q.alarm.Reset(rest)
	}
	return false
}

// neededLocked is how many packets must wait for one more sender. The more are
// under way the more it takes, four times as many for each, so that batches grow
// under load; the first two need one. Under load one starts every few milliseconds;
// where none does, requests take long, and packets must not wait for the rest of them.
func (q *queue) neededLocked(batch batchLimits) int {
	if q.sending <= 1 {
		return 1
	}
	return min(1<<min(2*(q.sending-1), 20), batch.packets) // no shift beyond an int
}

// urgency is 1 for a packet that must not wait for others to share its request.
func urgency(p *packet.Packet) int {
	if p.DeliveryChan != nil {
		return 1
	}
	return 0
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
		q.urgent -= urgency(p)
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
	for len(q.idle) > 0 {
		q.callLocked()
	}
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
