package router

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Sample calls visit for up to limit packets of each queue of packets that are not bound,
// drawn at random. It may be called concurrently; visit must not call the router.
func (r *Router) Sample(limit int, visit backlog.Visit) {
	r.do(func() {
		for at, weight := range backlog.Draw(len(r.pending), limit) {
			visit(r.pending[at].Packet, weight)
		}
	})
	q := &r.requeue
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, queue := range []*ring.Queue[upstream.Delivery]{&q.attempted, &q.unattempted} {
		for at, weight := range backlog.Draw(queue.Len(), limit) {
			visit(queue.At(at).Packet, weight)
		}
	}
	for _, waiting := range []byDue{q.failed.waiting, q.deadLetters.waiting} {
		for at, weight := range backlog.Draw(len(waiting), limit) {
			visit(waiting[at].Packet, weight)
		}
	}
}

// Oldest returns about when the oldest packet that is not bound was accepted, the zero
// time if there is none. It may be called concurrently.
func (r *Router) Oldest() (oldest time.Time) {
	consider := func(d upstream.Delivery) {
		if oldest.IsZero() || d.Packet.Accepted.Before(oldest) {
			oldest = d.Packet.Accepted
		}
	}
	r.do(func() {
		for _, d := range r.pending {
			consider(d)
		}
	})
	q := &r.requeue
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, queue := range []*ring.Queue[upstream.Delivery]{&q.attempted, &q.unattempted} {
		if queue.Len() > 0 {
			consider(queue.First())
		}
	}
	for _, waiting := range []byDue{q.failed.waiting, q.deadLetters.waiting} {
		for _, one := range waiting {
			consider(one.Delivery)
		}
	}
	return oldest
}
