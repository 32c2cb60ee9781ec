package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// A failure is attributed to the analyzer or to the packet. The first failure of a
// packet counts against the analyzer. Failures of a packet that failed before do not,
// at any analyzer: otherwise a packet that no analyzer accepts would open the breakers
// of all of them. A delivery always counts for the analyzer.

// maxReportedFailures is the maximum number of failures of one attempt that count against
// the analyzer: one packet is not enough evidence.
const maxReportedFailures = 2

// A packet becomes a dead letter when it has failed for minFailureDuration and alone
// minIsolatedFailures times, at analyzers that accept other packets.
const (
	minFailureDuration  = 15 * time.Minute
	minIsolatedFailures = 5
)

// attempt is the state of the delivery of packets to one analyzer, over one or more
// requests.
type attempt struct {
	failures int // failed requests
	// The fields below describe the last request that failed or lost its connection.
	batchSize     int // 0: there is none
	cause         string
	breakerClosed bool // when the request began
}

// after returns the state after one more request. A lost connection is no failure if the
// analyzer responds to the packets over a new one; if it cannot be reached then, the
// packets may have crashed it.
func (v attempt) after(r sink.Result, packets int, breakerClosed bool) attempt {
	switch {
	case r.Outcome == sink.Failed && !r.Unsent:
		v.failures++
		v.cause = r.Detail
	case r.Lost != "":
		v.cause = r.Lost
	default:
		return v
	}
	v.batchSize, v.breakerClosed = packets, breakerClosed
	return v
}

// mayHaveFailed reports whether the analyzer may have failed because of the packets.
func (v attempt) mayHaveFailed() bool { return v.batchSize > 0 }

// reportResult reports the result of a request to the breaker, unless it is attributed to
// the packets.
func (u *Upstream) reportResult(r sink.Result, batch []Delivery, v attempt, now time.Time) {
	failedBefore := batch[0].Failures != nil // then all packets of the batch did
	switch {
	case r.Outcome != sink.Failed:
		u.onTransition(u.breaker.Success(now), "packets are delivered")
	case r.Unsent || !failedBefore && v.failures < maxReportedFailures:
		u.onTransition(u.breaker.Failure(now), r.Detail)
	}
}

// recordFailure records a failed attempt in the failure histories.
func (u *Upstream) recordFailure(deliveries []Delivery, v attempt, now time.Time) {
	for i := range deliveries {
		d := &deliveries[i]
		if d.Failures == nil {
			d.Failures = &FailureHistory{Since: now}
		}
		t := d.Failures
		if v.batchSize == 1 && t.Attempts > 0 && v.breakerClosed && u.deliveredSince(t.Last) {
			t.IsolatedFailures++
		}
		t.Attempts++
		t.Last, t.Cause, t.LastBatchSize = now, v.cause, v.batchSize
	}
}

// deliveredSince reports whether the analyzer accepted packets after a time.
func (u *Upstream) deliveredSince(since time.Time) bool {
	return u.lastDelivered.Load() > u.elapsed(since)
}

// keepsFailing reports whether the packet is to become a dead letter.
func keepsFailing(d Delivery) bool {
	t := d.Failures
	return t != nil && t.IsolatedFailures >= minIsolatedFailures && t.Last.Sub(t.Since) >= minFailureDuration
}
