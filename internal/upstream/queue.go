package upstream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// queue holds the packets bound to one analyzer: it stores those that wait and counts
// those that senders hold. It decides when a sender may start.
type queue struct {
	// bound equals the waiting and in-flight packets, for lock-free readers.
	bound atomic.Int64

	mu            sync.Mutex // guards all fields below
	idle          []*waiter  // a stack of waiting senders
	waiting       ring.Queue[Delivery]
	queued        packet.Volume // of waiting
	inFlight      packet.Volume // held by senders
	sending       int           // senders that hold packets
	noLinger      int           // waiting packets whose emitters wait for the delivery
	earliestSend  time.Time     // end of the linger of a small batch
	flushDeadline time.Time     // from then on one more sender may start with any batch
	timer         *time.Timer   // wakes a sender at timerAt, no later than nextFlush
	timerAt       time.Time     // zero if the timer is stopped
	stopped       bool
}

// flushTimeout is the maximum time that packets wait to be enough for one more sender.
const flushTimeout = 20 * time.Millisecond

// waiter is where one sender waits until it may start. The sender that waited least is
// woken first (LIFO): its connection and memory are warm, and low traffic uses few
// connections.
type waiter struct {
	wake    sync.Cond // the condition of take may hold
	retired bool      // the sender is to end; guarded by the queue's mutex
}

func newQueue() *queue {
	q := &queue{}
	q.timer = time.AfterFunc(time.Hour, q.onTimer)
	q.timer.Stop()
	return q
}

// newWaiter returns the waiter of one sender.
func (q *queue) newWaiter() *waiter {
	s := &waiter{}
	s.wake.L = &q.mu
	return s
}

// waitLocked waits until the sender is woken.
func (q *queue) waitLocked(s *waiter) {
	q.idle = append(q.idle, s)
	s.wake.Wait()
}

// wakeLocked wakes one idle sender, if any.
func (q *queue) wakeLocked() {
	if last := len(q.idle) - 1; last >= 0 {
		s := q.idle[last]
		q.idle = q.idle[:last]
		s.wake.Signal()
	}
}

// onTimer wakes a sender for the packets whose linger or flush timeout ended.
func (q *queue) onTimer() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timerAt = time.Time{}
	q.wakeLocked()
}

// offer appends packets. It reports false, and takes none, once the queue is stopped.
func (q *queue) offer(deliveries []Delivery, batch batchLimits) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return false
	}
	for _, d := range deliveries {
		q.waiting.Push(d)
		q.queued.Add(d.Packet)
		q.noLinger += noLingerCount(d)
	}
	q.publishBoundLocked()
	if q.mayStartLocked(batch) {
		q.wakeLocked()
	}
	return true
}

// take waits until the sender may start and appends the packets of its batch to dst. It
// reports false once the queue is stopped or the sender retired. The caller must call
// finished with the volume of the batch.
func (q *queue) take(s *waiter, dst []Delivery, limits func() batchLimits) ([]Delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := limits()
	for !q.stopped && !s.retired && !q.mayStartLocked(batch) {
		q.waitLocked(s)
		batch = limits()
	}
	if s.retired && q.mayStartLocked(batch) {
		q.wakeLocked() // it may have been woken for these packets
	}
	if q.stopped || s.retired {
		return nil, false
	}
	var content batchContent
	for q.waiting.Len() > 0 && batch.admits(dst, content, q.waiting.First()) {
		d := q.waiting.Pop()
		content.add(dst, d)
		q.noLinger -= noLingerCount(d)
		dst = append(dst, d)
	}
	q.queued = q.queued.Minus(content.volume)
	q.inFlight = q.inFlight.Plus(content.volume)
	q.sending++
	q.scheduleLocked(batch)
	if q.mayStartLocked(batch) {
		q.wakeLocked()
	}
	return dst, true
}

// finished ends the hold of a sender on a batch.
func (q *queue) finished(volume packet.Volume) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = q.inFlight.Minus(volume)
	q.sending--
	q.publishBoundLocked()
}

// scheduleLocked starts linger and flush timeout after a batch was taken. Packets that did
// not fit into the batch do not linger: they have waited already.
func (q *queue) scheduleLocked(batch batchLimits) {
	q.earliestSend = time.Time{}
	if batch.packets == 1 {
		return // single packets do not linger
	}
	now := time.Now()
	q.flushDeadline = now.Add(flushTimeout)
	if q.waiting.Len() == 0 {
		q.earliestSend = now.Add(batch.linger)
	}
}

// mayStartLocked reports whether one more sender may start. If not, the timer wakes one when
// it may.
func (q *queue) mayStartLocked(batch batchLimits) bool {
	if q.waiting.Len() == 0 {
		return false
	}
	at := q.nextFlushLocked(batch)
	if at.IsZero() {
		return true
	}
	if !q.timerAt.IsZero() && !at.Before(q.timerAt) {
		return false
	}
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	q.timerAt = at
	q.timer.Reset(wait)
	return false
}

// nextFlushLocked returns the time from which one more sender may start with the packets
// that wait; the zero time is at once.
func (q *queue) nextFlushLocked(batch batchLimits) time.Time {
	switch waiting := q.waiting.Len(); {
	case q.noLinger > 0:
		return time.Time{}
	case waiting < q.minWaitingLocked(batch):
		return q.flushDeadline
	case waiting >= batch.flushSize:
		return time.Time{}
	default:
		return q.earliestSend
	}
}

// minWaitingLocked returns the number of waiting packets that one more sender requires: 1
// for the first two senders, then four times as many for each, so that batches grow under
// load. flushDeadline bounds the wait where requests are slow.
func (q *queue) minWaitingLocked(batch batchLimits) int {
	if q.sending <= 1 {
		return 1
	}
	return min(1<<min(2*(q.sending-1), 20), batch.packets) // limits the shift
}

// noLingerCount returns 1 for a packet that must not linger, else 0.
func noLingerCount(d Delivery) int {
	if d.Packet.DeliveryChan != nil {
		return 1
	}
	return 0
}

// trim removes the newest waiting packets until at most keep packets are bound, and returns
// them, newest first.
func (q *queue) trim(keep int64) []Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	var trimmed []Delivery
	for q.waiting.Len() > 0 && q.queued.Packets+q.inFlight.Packets > keep {
		d := q.waiting.PopLast()
		q.queued.Subtract(d.Packet)
		q.noLinger -= noLingerCount(d)
		trimmed = append(trimmed, d)
	}
	q.publishBoundLocked()
	return trimmed
}

// retire makes take return false for one sender.
func (q *queue) retire(s *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.retired = true
	q.idle = slices.DeleteFunc(q.idle, func(one *waiter) bool { return one == s })
	s.wake.Signal()
}

// stop makes take return false for all senders.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	for len(q.idle) > 0 {
		q.wakeLocked()
	}
}

// volumes returns a consistent snapshot of the waiting and the in-flight volume.
func (q *queue) volumes() (queued, inFlight packet.Volume) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued, q.inFlight
}

func (q *queue) publishBoundLocked() {
	q.bound.Store(q.queued.Packets + q.inFlight.Packets)
}
