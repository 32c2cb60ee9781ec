package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
)

// Sample calls visit for up to limit packets that wait for a sender, drawn at random.
// Those of requests in flight are not in the sample.
func (u *Upstream) Sample(limit int, visit backlog.Visit) {
	q := u.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for at, weight := range backlog.Draw(q.waiting.Len(), limit) {
		visit(q.waiting.At(at).Packet, weight)
	}
}

// Oldest returns when the packet that waits first for a sender was accepted, the zero time
// if none waits.
func (u *Upstream) Oldest() time.Time {
	q := u.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Len() == 0 {
		return time.Time{}
	}
	return q.waiting.First().Packet.Accepted
}
