package router

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// deadLetterRetries sends rejected packets whose dead letters could not be written to
// an analyzer again, which may accept them. The cause, such as a full disk, is the
// same for all packets, so that one packet probes for all, with backoff; each packet
// that is settled then grows the window by one.
type deadLetterRetries struct {
	retryQueue
	failures int // consecutive rounds in which no dead letter could be written
}

// push adds a packet whose dead letter could not be written.
func (q *deadLetterRetries) push(d upstream.Delivery, now time.Time) {
	q.window = 1
	if d.DeadLetterPending {
		if q.outstanding--; q.outstanding == 0 {
			q.failures++
			q.notBefore = now.Add(q.delay(q.failures))
		}
	}
	d.DeadLetterPending = true
	q.add(d, time.Time{})
}

// requeue adds an outstanding packet that was neither accepted nor rejected.
func (q *deadLetterRetries) requeue(d upstream.Delivery) {
	q.outstanding--
	q.add(d, time.Time{})
}

// settle removes an outstanding packet that was settled.
func (q *deadLetterRetries) settle() {
	q.succeed()
	q.reset()
}

// reset ends the backoff and reports whether packets are ready because of that. It
// is called when a dead letter could be written.
func (q *deadLetterRetries) reset() bool {
	delayed := q.failures > 0
	q.failures, q.notBefore = 0, time.Time{}
	return delayed && len(q.waiting) > 0
}

// expedite ends the backoff and limits later delays.
func (q *deadLetterRetries) expedite() {
	q.expedited = true
	q.notBefore = time.Time{}
}
