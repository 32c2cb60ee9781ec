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
const mostFailuresTold = 2

// A packet is hopeless when it has failed for so long, and so often at analyzers
// that work.
const (
	longestTrouble = 15 * time.Minute
	mostStrikes    = 5
)

// visit is what has become of some packets at one analyzer.
type visit struct {
	failures int // tries that failed
	// broken: a kept connection was closed under a try. That is no failure if another
	// one is answered; if the analyzer cannot be reached, the try may have killed it.
	broken  bool
	company int // packets of the last try that failed or was broken
	cause   string
	sound   bool // the analyzer's breaker was closed when that try began
}

// failed is v after one more try.
func (v visit) failed(batch []*packet.Packet, a answer, sound bool) visit {
	if a.outcome == stale {
		v.broken = true
	} else {
		v.failures++
	}
	v.company, v.cause, v.sound = len(batch), a.detail, sound
	return v
}

// tried tells that the analyzer may have failed with the packets.
func (v visit) tried() bool { return v.failures > 0 || v.broken }

// judge tells the breaker of a try's result, unless it says nothing of the
// analyzer.
func (u *Upstream) judge(a answer, batch []*packet.Packet, v visit, now time.Time) {
	suspect := batch[0].Failures != nil // as is all of its company
	switch {
	case a.outcome != failed:
		u.note(u.breaker.Success(now))("packets are taken")
	case a.unsent || !suspect && v.failures < mostFailuresTold:
		u.note(u.breaker.Failure(now))(a.detail)
	}
}

// remember notes in the packets that a visit has failed.
func (u *Upstream) remember(packets []*packet.Packet, v visit, now time.Time) {
	for _, p := range packets {
		if p.Failures == nil {
			p.Failures = &packet.FailureHistory{Since: now}
		}
		t := p.Failures
		if v.company == 1 && t.Attempts > 0 && v.sound && u.works(t.Last) {
			t.IsolatedFailures++
		}
		t.Attempts++
		t.Last, t.Cause, t.LastBatchSize = now, v.cause, v.company
	}
}

// works tells that the analyzer has taken packets since.
func (u *Upstream) works(since time.Time) bool { return u.latestTaken.Load() > u.counted(since) }

// hopeless tells that p need not be tried any more.
func hopeless(p *packet.Packet) bool {
	t := p.Failures
	return t != nil && t.IsolatedFailures >= mostStrikes && t.Last.Sub(t.Since) >= longestTrouble
}
