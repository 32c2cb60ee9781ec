package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
)

// Visit calls visit for a packet of a sample.
func (d *Delivery) Visit(visit backlog.Visit, weight float64) {
	var buffer [128]byte
	visit(d.Packet.EmitterID.Decoded(buffer[:0], d.Packet.Body), d.Packet.Messages, weight)
}

// Sample calls visit for up to limit packets that wait for a sender, drawn at random.
// Those of requests in flight are not in the sample.
func (u *Upstream) Sample(limit int, visit backlog.Visit) {
	q := u.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for at, weight := range backlog.Draw(q.waiting.Len(), limit) {
		d := q.waiting.At(at)
		d.Visit(visit, weight)
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
