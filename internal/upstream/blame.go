package upstream

import (
	"time"

	"logstreamer/internal/breaker"
	"logstreamer/internal/packet"
)

// A packet that an analyzer failed with, further tries included, travels alone
// from then on. When a try fails that repeats one, of the same packet or of a
// batch that it was part of, either the analyzer is to blame or the packet: the
// packet, if what else the analyzer was sent last went well, or if it was to blame
// before. Then the failure is not held against the analyzer, so that a packet
// which none can take makes none unhealthy, however many it visits.

// mostSetbacks is after how many visits a packet becomes a dead letter, at the
// first analyzer that has taken others since the visit before. Dispatch has it
// wait between visits, so that this takes a quarter of an hour.
const mostSetbacks = 32

// mostFailuresTold is how many tries of one visit count at most: one packet is
// not evidence enough.
const mostFailuresTold = 2

// blames tells that packets are to blame if a try fails, after that many have
// failed here.
func (u *Upstream) blames(batch []*packet.Packet, failures int) bool {
	trouble := batch[0].Trouble // no other packet of a batch has any
	if trouble == nil {
		return failures > 0 && u.working.Load()
	}
	return trouble.Setbacks > 0 || u.working.Load()
}

// judge tells the breaker of a try's result, unless it says nothing of the
// analyzer.
func (u *Upstream) judge(a answer, batch []*packet.Packet, failures int, now time.Time) {
	repeated := failures > 0 || batch[0].Trouble != nil
	switch {
	case a.packetsFault || a.outcome == failed && failures >= mostFailuresTold:
	case a.outcome == failed:
		u.working.Store(false)
		u.note(u.breaker.Failure(now))(a.detail)
	case repeated && u.working.Load() && u.breaker.State() == breaker.Closed:
		// Neither failures nor successes of repeats count, or the part that failed
		// would look smaller than it is.
	default:
		u.working.Store(true)
		u.note(u.breaker.Success(now))("packets are taken")
	}
}

// failedWith notes a visit that failed. It reports whether the packet, which was
// alone then, need not be tried any more.
func (u *Upstream) failedWith(packets []*packet.Packet, a answer, now time.Time) (hopeless bool) {
	for _, p := range packets {
		if p.Trouble == nil {
			p.Trouble = &packet.Trouble{}
		}
		if a.packetsFault && len(packets) == 1 {
			p.Trouble.Setbacks++
			hopeless = p.Trouble.Setbacks >= mostSetbacks && u.latestTaken.Load() > p.Trouble.Last.UnixNano()
		}
		p.Trouble.Last, p.Trouble.Cause = now, a.detail
	}
	return hopeless
}
