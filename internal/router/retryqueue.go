package router

import (
	"container/heap"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// retryDelays holds the delays after the first failed attempt, the second, and so
// on; the last one applies to all later attempts.
var retryDelays = [...]time.Duration{
	0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute,
}

// retryDelay returns the delay after a number of failures, which is short if
// expedited.
func retryDelay(failures int, expedited bool) time.Duration {
	delay := retryDelays[min(failures, len(retryDelays))-1]
	if expedited {
		delay = min(delay, retryDelays[1])
	}
	return delay
}

// retryQueue holds packets with failed attempts until they are due. An AIMD window
// limits concurrent retries, so that packets that no analyzer accepts cost the
// others little, and packets that failed because of an analyzer's outage recover
// fast: the window is at least one per active member, grows by one for each
// delivery and is halved at each failure. Each delivery also lets two packets be
// retried before they are due. The ledger's mutex guards it.
type retryQueue struct {
	waiting     byDue
	outstanding int // packets that are being retried
	window      int // maximum of outstanding
	early       int // packets that may be retried before they are due
	quarantined int // packets, waiting or outstanding, that keep failing at working analyzers
	expedited   bool
}

const (
	maxRetryWindow = 1 << 16
	// quarantineFailures is the number of isolated failures that quarantine a
	// packet.
	quarantineFailures = 4
)

// push adds a nacked packet and reports whether it is now the only one in
// quarantine.
func (q *retryQueue) push(p *packet.Packet) (firstQuarantined bool) {
	h := p.Failures
	if h.ScheduledAttempts > 0 {
		q.outstanding--
	}
	if h.ScheduledAttempts < h.Attempts {
		if h.ScheduledAttempts > 0 {
			q.window /= 2
			q.early = 0
		}
		h.Due = h.Last.Add(retryDelay(h.Attempts, q.expedited))
		h.ScheduledAttempts = h.Attempts
	}
	if !h.Quarantined && h.IsolatedFailures >= quarantineFailures {
		h.Quarantined = true
		q.quarantined++
		firstQuarantined = q.quarantined == 1
	}
	heap.Push(&q.waiting, p)
	return firstQuarantined
}

// settle removes an outstanding packet that was delivered or rejected and reports
// whether it was the last one in quarantine. If the packet fails again, because its
// dead letter could not be written, push treats it as new.
func (q *retryQueue) settle(p *packet.Packet, delivered bool) (lastQuarantined bool) {
	h := p.Failures
	if h == nil || h.ScheduledAttempts == 0 {
		return false
	}
	q.outstanding--
	h.ScheduledAttempts = 0
	if delivered {
		q.window = min(q.window+1, maxRetryWindow)
		q.early = min(q.early+2, q.window)
	}
	if !h.Quarantined {
		return false
	}
	h.Quarantined = false
	q.quarantined--
	return q.quarantined == 0
}

// ready returns how many packets may be retried now.
func (q *retryQueue) ready(activeMembers int, now time.Time) int {
	q.window = max(q.window, activeMembers)
	limit := q.window - q.outstanding
	if limit <= 0 || len(q.waiting) == 0 {
		return 0
	}
	return min(q.waiting.due(0, now, limit)+q.early, limit, len(q.waiting))
}

// take appends the n packets that are due first to dst.
func (q *retryQueue) take(dst []*packet.Packet, n int, now time.Time) []*packet.Packet {
	for range n {
		p := heap.Pop(&q.waiting).(*packet.Packet)
		if p.Failures.Due.After(now) {
			q.early = max(0, q.early-1)
		}
		q.outstanding++
		dst = append(dst, p)
	}
	return dst
}

// expedite shortens the delays of waiting packets and limits later ones.
func (q *retryQueue) expedite() {
	q.expedited = true
	for _, p := range q.waiting {
		p.Failures.Due = p.Failures.Last.Add(retryDelay(p.Failures.Attempts, true))
	}
	heap.Init(&q.waiting)
}

// byDue is a heap of packets by their due time.
type byDue []*packet.Packet

// due counts the due packets in the subheap at an index, up to limit.
func (h byDue) due(at int, now time.Time, limit int) int {
	if at >= len(h) || limit <= 0 || h[at].Failures.Due.After(now) {
		return 0
	}
	n := 1 + h.due(2*at+1, now, limit-1)
	return n + h.due(2*at+2, now, limit-n)
}

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].Failures.Due.Before(h[j].Failures.Due) }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(p any)        { *h = append(*h, p.(*packet.Packet)) }
func (h *byDue) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}

// quarantinedPacket describes a packet for the log.
type quarantinedPacket struct{ emitterID, packetID, cause string }

func describePacket(p *packet.Packet) *quarantinedPacket {
	return &quarantinedPacket{
		emitterID: string(p.EmitterID.AppendDecoded(nil, p.Body)), packetID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		cause: p.Failures.Cause,
	}
}
