package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Who is to blame for a failure, the analyzer or the packet? A packet that has not
// failed before speaks against the analyzer. One that has does not, wherever it
// fails again, or a packet that no analyzer can take would make all of them
// unhealthy, one after the other. When it is taken that speaks for the analyzer.

// mostFailuresTold is how many tries of one visit count against the analyzer at
// most: one packet is not evidence enough.
const maxReportedFailures = 2

// A packet is hopeless when it has failed for so long, and so often at analyzers
// that work.
const (
	minFailureDuration  = 15 * time.Minute
	minIsolatedFailures = 5
)

// visit is what has become of some packets at one analyzer.
type attempt struct {
	failures int // tries that failed
	// broken: a kept connection was closed under a try. That is no failure if another
	// one is answered; if the analyzer cannot be reached, the try may have killed it.
	staleClosed   bool
	batchSize     int // packets of the last try that failed or was broken
	cause         string
	breakerClosed bool // the analyzer's breaker was closed when that try began
}

// failed is v after one more try.
func (v attempt) withFailure(batch []*packet.Packet, a sendResult, breakerClosed bool) attempt {
	if a.outcome == stale {
		v.staleClosed = true
	} else {
		v.failures++
	}
	v.batchSize, v.cause, v.breakerClosed = len(batch), a.detail, breakerClosed
	return v
}

// tried tells that the analyzer may have failed with the packets.
func (v attempt) mayHaveFailed() bool { return v.failures > 0 || v.staleClosed }

// judge tells the breaker of a try's result, unless it says nothing of the
// analyzer.
func (u *Upstream) reportResult(a sendResult, batch []*packet.Packet, v attempt, now time.Time) {
	failedBefore := batch[0].Trouble != nil // as is all of its company
	switch {
	case a.outcome != failed:
		u.onTransition(u.breaker.Success(now))("packets are taken")
	case a.unsent || !failedBefore && v.failures < maxReportedFailures:
		u.onTransition(u.breaker.Failure(now))(a.detail)
	}
}

// remember notes in the packets that a visit has failed.
func (u *Upstream) recordFailure(packets []*packet.Packet, v attempt, now time.Time) {
	for _, p := range packets {
		if p.Trouble == nil {
			p.Trouble = &packet.Trouble{Since: now}
		}
		t := p.Trouble
		if v.batchSize == 1 && t.Visits > 0 && v.breakerClosed && u.deliveredSince(t.Last) {
			t.Strikes++
		}
		t.Visits++
		t.Last, t.Cause, t.Company = now, v.cause, v.batchSize
	}
}

// works tells that the analyzer has taken packets since.
func (u *Upstream) deliveredSince(since time.Time) bool {
	return u.lastDelivered.Load() > u.elapsed(since)
}

// hopeless tells that p need not be tried any more.
func keepsFailing(p *packet.Packet) bool {
	t := p.Trouble
	return t != nil && t.Strikes >= minIsolatedFailures && t.Last.Sub(t.Since) >= minFailureDuration
}
