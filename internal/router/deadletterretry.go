package router

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// deadLetterRetryQueue holds rejected packets whose dead letters could not be
// written, until they are sent to an analyzer again, which may accept them. The
// cause, such as a full disk, is the same for all packets, so that the queue probes
// with one packet, with backoff; each packet that is settled then grows the window
// by one. The ledger's mutex guards it.
type deadLetterRetryQueue struct {
	waiting     ring.Queue[*packet.Packet]
	outstanding int // packets that are being retried
	window      int // maximum of outstanding
	failures    int // consecutive rounds in which no dead letter could be written
	next        time.Time
	expedited   bool
}

// push adds a packet whose dead letter could not be written.
func (q *deadLetterRetryQueue) push(p *packet.Packet, now time.Time) {
	q.window = 1
	if p.DeadLetterPending {
		if q.outstanding--; q.outstanding == 0 {
			q.failures++
			q.next = now.Add(retryDelay(q.failures, q.expedited))
		}
	}
	p.DeadLetterPending = true
	q.waiting.Push(p)
}

// requeue adds an outstanding packet that was neither accepted nor rejected.
func (q *deadLetterRetryQueue) requeue(p *packet.Packet) {
	q.outstanding--
	q.waiting.Push(p)
}

// release removes an outstanding packet with a failed attempt, which is to enter
// the retry queue.
func (q *deadLetterRetryQueue) release(p *packet.Packet) {
	q.outstanding--
	p.DeadLetterPending = false
}

// settle removes an outstanding packet that was settled.
func (q *deadLetterRetryQueue) settle() {
	q.outstanding--
	q.window = min(q.window+1, maxRetryWindow)
	q.reset()
}

// reset ends the backoff and reports whether packets are ready because of that. It
// is called when a dead letter could be written.
func (q *deadLetterRetryQueue) reset() bool {
	delayed := q.failures > 0
	q.failures, q.next = 0, time.Time{}
	return delayed && q.waiting.Len() > 0
}

// ready returns how many packets may be retried now.
func (q *deadLetterRetryQueue) ready(now time.Time) int {
	if q.waiting.Len() == 0 || now.Before(q.next) {
		return 0
	}
	return max(0, min(q.window-q.outstanding, q.waiting.Len()))
}

// take appends the n oldest packets to dst.
func (q *deadLetterRetryQueue) take(dst []*packet.Packet, n int) []*packet.Packet {
	q.outstanding += n
	for range n {
		dst = append(dst, q.waiting.Pop())
	}
	return dst
}

// expedite ends the backoff and limits later delays.
func (q *deadLetterRetryQueue) expedite() {
	q.expedited = true
	q.next = time.Time{}
}
