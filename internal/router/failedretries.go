package router

import (
	"container/heap"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// failedRetries retries packets with failed attempts, each with delays of its own. An
// AIMD window limits concurrent retries, so that packets that no analyzer accepts cost
// the others little, and packets that failed because of an analyzer's outage recover
// fast: the window is at least one per active member, grows by one for each delivery
// and is halved at each failure. Each delivery also lets two packets be retried before
// they are due, unless those failed alone at analyzers that accept others.
type failedRetries struct {
	retryQueue
	quarantined int // packets, waiting or outstanding, that keep failing at working analyzers
}

// quarantineFailures is the number of isolated failures that quarantine a packet.
const quarantineFailures = 4

// push adds a nacked packet and reports whether it is now the only one in
// quarantine.
func (q *failedRetries) push(d upstream.Delivery) (firstQuarantined bool) {
	h := d.Failures
	if h.ScheduledAttempts > 0 {
		q.outstanding--
	}
	if h.ScheduledAttempts < h.Attempts {
		if h.ScheduledAttempts > 0 {
			q.window /= 2
			q.early = 0
		}
		h.Due = h.Last.Add(q.delay(h.Attempts))
		h.ScheduledAttempts = h.Attempts
	}
	if !h.Quarantined && h.IsolatedFailures >= quarantineFailures {
		h.Quarantined = true
		q.quarantined++
		firstQuarantined = q.quarantined == 1
	}
	q.add(d, h.Due)
	return firstQuarantined
}

// settle removes an outstanding packet that was delivered or rejected and reports
// whether it was the last one in quarantine. If the packet fails again, because its
// dead letter could not be written, push treats it as new.
func (q *failedRetries) settle(d upstream.Delivery, delivered bool) (lastQuarantined bool) {
	h := d.Failures
	if h == nil || h.ScheduledAttempts == 0 {
		return false
	}
	h.ScheduledAttempts = 0
	if delivered {
		q.succeed()
		q.early = min(q.early+2, q.window)
	} else {
		q.outstanding--
	}
	if !h.Quarantined {
		return false
	}
	h.Quarantined = false
	q.quarantined--
	return q.quarantined == 0
}

// takeWaiting removes the waiting packets, appends them to dst, and reports whether the
// quarantine became empty. They are not retried here again.
func (q *failedRetries) takeWaiting(dst []upstream.Delivery) (all []upstream.Delivery, lastQuarantined bool) {
	before := q.quarantined
	for _, one := range q.waiting {
		if one.Failures.Quarantined {
			q.quarantined--
		}
	}
	return q.takeAll(dst), before > 0 && q.quarantined == 0
}

// expedite shortens the delays of waiting packets and limits later ones.
func (q *failedRetries) expedite() {
	q.expedited = true
	for _, one := range q.waiting {
		one.due = one.Failures.Last.Add(q.delay(one.Failures.Attempts))
		one.Failures.Due = one.due
	}
	heap.Init(&q.waiting)
}
