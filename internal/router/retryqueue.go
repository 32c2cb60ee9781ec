package router

import (
	"container/heap"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// retryDelays holds the delays after the first failure, the second, and so on; the
// last one applies to all later failures.
var retryDelays = [...]time.Duration{
	0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute,
}

// maxRetryWindow is the maximum of retryQueue.window.
const maxRetryWindow = 1 << 16

// retryQueue holds packets until they may be retried, those that are due first in
// front. A window limits how many are retried at a time. Its users, failedRetries
// and deadLetterRetries, decide when packets are due and how the window changes. The
// requeue's mutex guards it.
type retryQueue struct {
	waiting     byDue
	added       uint64    // packets ever added
	notBefore   time.Time // no packet is due earlier
	outstanding int       // packets that are being retried
	window      int       // maximum of outstanding
	early       int       // packets that may be retried before they are due, see mayBeEarly
	expedited   bool
}

// retry is a waiting packet.
type retry struct {
	upstream.Delivery
	due   time.Time
	order uint64
}

// mayBeEarly reports whether the packet may be retried before it is due. One that failed alone
// at analyzers that accept others may crash them.
func (r *retry) mayBeEarly() bool { return r.Failures == nil || r.Failures.IsolatedFailures == 0 }

// delay returns the delay after a number of failures, which is short if expedited.
func (q *retryQueue) delay(failures int) time.Duration {
	delay := retryDelays[min(failures, len(retryDelays))-1]
	if q.expedited {
		delay = min(delay, retryDelays[1])
	}
	return delay
}

// add adds a packet that is due at a time, and not before those that have been due
// at that time for longer.
func (q *retryQueue) add(d upstream.Delivery, due time.Time) {
	q.added++
	heap.Push(&q.waiting, &retry{d, due, q.added})
}

// succeed ends a retry that settled its packet.
func (q *retryQueue) succeed() {
	q.outstanding--
	q.window = min(q.window+1, maxRetryWindow)
}

// ready returns how many packets may be retried now, if the window is at least
// minWindow.
func (q *retryQueue) ready(minWindow int, now time.Time) int {
	q.window = max(q.window, minWindow)
	limit := q.window - q.outstanding
	if limit <= 0 || len(q.waiting) == 0 || now.Before(q.notBefore) {
		return 0
	}
	due := q.waiting.due(0, now, limit)
	if due == 0 && !q.waiting[0].mayBeEarly() {
		return 0
	}
	return min(due+q.early, limit, len(q.waiting))
}

// take appends the packets that are due first to dst, n of them or, if others are not due
// and may not be early, fewer.
func (q *retryQueue) take(dst []upstream.Delivery, n int, now time.Time) []upstream.Delivery {
	for range n {
		if first := q.waiting[0]; first.due.After(now) {
			if !first.mayBeEarly() {
				break
			}
			q.early = max(0, q.early-1)
		}
		q.outstanding++
		dst = append(dst, heap.Pop(&q.waiting).(*retry).Delivery)
	}
	return dst
}

// takeAll removes all packets and appends them to dst. They are not retried here again.
func (q *retryQueue) takeAll(dst []upstream.Delivery) []upstream.Delivery {
	for _, one := range q.waiting {
		dst = append(dst, one.Delivery)
	}
	clear(q.waiting)
	q.waiting = q.waiting[:0]
	return dst
}

// byDue is a heap of packets by their due time.
type byDue []*retry

// due counts the due packets in the subheap at an index, up to limit.
func (h byDue) due(at int, now time.Time, limit int) int {
	if at >= len(h) || limit <= 0 || h[at].due.After(now) {
		return 0
	}
	n := 1 + h.due(2*at+1, now, limit-1)
	return n + h.due(2*at+2, now, limit-n)
}

func (h byDue) Len() int      { return len(h) }
func (h byDue) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(one any) { *h = append(*h, one.(*retry)) }
func (h byDue) Less(i, j int) bool {
	if order := h[i].due.Compare(h[j].due); order != 0 {
		return order < 0
	}
	return h[i].order < h[j].order
}

func (h *byDue) Pop() any {
	last := len(*h) - 1
	one := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return one
}
