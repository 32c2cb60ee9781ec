package router

import (
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// requeue holds the packets that analyzers returned until they are routed again. It
// may be used concurrently.
type requeue struct {
	mu sync.Mutex // guards the fields below
	// Nacked packets without failures. The retry budget limits attempted ones,
	// which an analyzer may have received.
	attempted, unattempted ring.Queue[upstream.Delivery]
	failed                 failedRetries
	deadLetters            deadLetterRetries
}

// isRetry reports whether a packet may be outstanding in one of the retry queues.
func isRetry(d upstream.Delivery) bool { return d.DeadLetterPending || d.Failures != nil }

// settle records retries that ended in a delivery or a dead letter. It reports whether
// the quarantine became empty, and whether requeued packets became ready.
func (q *requeue) settle(deliveries []upstream.Delivery, delivered bool) (lastQuarantined, ready bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	failed, deadLetters := q.failed.outstanding, q.deadLetters.outstanding
	for _, d := range deliveries {
		if d.DeadLetterPending {
			q.deadLetters.settle()
		} else if q.failed.settle(d, delivered) {
			lastQuarantined = true
		}
	}
	ready = q.failed.outstanding < failed && len(q.failed.waiting) > 0 ||
		q.deadLetters.outstanding < deadLetters && len(q.deadLetters.waiting) > 0
	return lastQuarantined, ready
}

// deadLetterWritten ends the backoff of dead letters and reports whether packets are
// ready because of that.
func (q *requeue) deadLetterWritten() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.deadLetters.reset()
}

// pushDeadLetters adds rejected packets whose dead letters could not be written. It
// reports whether the quarantine became empty.
func (q *requeue) pushDeadLetters(deliveries []upstream.Delivery, now time.Time) (lastQuarantined bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range deliveries {
		if !d.DeadLetterPending && q.failed.settle(d, false) {
			lastQuarantined = true
		}
		q.deadLetters.push(d, now)
	}
	return lastQuarantined
}

// push adds nacked packets. It describes the packet that was quarantined while the
// quarantine was empty, if any.
func (q *requeue) push(deliveries []upstream.Delivery) (firstQuarantined *quarantinedPacket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range deliveries {
		switch {
		case d.Failures != nil:
			if d.DeadLetterPending {
				q.deadLetters.outstanding--
				d.DeadLetterPending = false
			}
			if q.failed.push(d) {
				firstQuarantined = describe(d)
			}
		case d.DeadLetterPending:
			q.deadLetters.requeue(d)
		case d.Attempted:
			q.attempted.Push(d)
		default:
			q.unattempted.Push(d)
		}
	}
	return firstQuarantined
}

// quarantinedPacket describes a packet for the log.
type quarantinedPacket struct{ emitterID, packetID, cause string }

func describe(d upstream.Delivery) *quarantinedPacket {
	p := d.Packet
	return &quarantinedPacket{
		emitterID: string(p.EmitterID.AppendDecoded(nil, p.Body)), packetID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		cause: d.Failures.Cause,
	}
}

// requeued holds numbers of packets in a requeue.
type requeued struct {
	unattempted, attempted int
	failed, deadLetters    int // that may be retried now
}

func (q *requeue) count(activeMembers int, now time.Time) requeued {
	q.mu.Lock()
	defer q.mu.Unlock()
	return requeued{
		unattempted: q.unattempted.Len(), attempted: q.attempted.Len(),
		failed: q.failed.ready(activeMembers, now), deadLetters: q.deadLetters.ready(1, now),
	}
}

// take appends requeued packets to dst, oldest first: all unattempted ones and the
// given numbers of the others.
func (q *requeue) take(dst []upstream.Delivery, limit requeued, now time.Time) []upstream.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.unattempted.Len() > 0 {
		dst = append(dst, q.unattempted.Pop())
	}
	for range min(limit.attempted, q.attempted.Len()) {
		dst = append(dst, q.attempted.Pop())
	}
	dst = q.deadLetters.take(dst, limit.deadLetters, now)
	return q.failed.take(dst, limit.failed, now)
}

// takeForOthers removes and returns the packets that another process may deliver: all but
// those that wait for their dead letters to be written. The retries among the packets that
// were taken and not routed end: they are handed back, too. It reports whether the quarantine
// became empty.
func (q *requeue) takeForOthers(unrouted []upstream.Delivery) (all []upstream.Delivery, lastQuarantined bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range unrouted {
		if d.DeadLetterPending {
			q.deadLetters.outstanding--
		} else if q.failed.settle(d, false) {
			lastQuarantined = true
		}
	}
	all, last := q.failed.takeWaiting(q.takeUnfailedLocked())
	return all, lastQuarantined || last
}

func (q *requeue) takeUnfailedLocked() (all []upstream.Delivery) {
	for _, queue := range []*ring.Queue[upstream.Delivery]{&q.unattempted, &q.attempted} {
		for queue.Len() > 0 {
			all = append(all, queue.Pop())
		}
	}
	return all
}

// takeAll removes and returns all packets.
func (q *requeue) takeAll() []upstream.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.takeUnfailedLocked()
	return q.failed.takeAll(q.deadLetters.takeAll(all))
}

func (q *requeue) expedite() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed.expedite()
	q.deadLetters.expedite()
}

// restoreDelays makes later delays those of before expedite.
func (q *requeue) restoreDelays() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed.expedited, q.deadLetters.expedited = false, false
}

func (q *requeue) quarantined() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed.quarantined
}
