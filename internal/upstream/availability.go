package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Room returns how many packets may be bound now. Brief tells that the
// analyzer works, so that a lack of room should pass soon.
func (u *Upstream) Capacity(now time.Time) (packets int, transient bool) {
	if !u.probed.Load() || u.pausing(now) {
		return 0, false
	}
	bound := int(u.queue.bound.Load())
	switch u.breaker.State() {
	case breaker.Closed:
		return max(u.limit.now()-bound, 0), true
	case breaker.HalfOpen:
		return max(maxHalfOpenPackets-bound, 0), false
	default:
		return 0, false
	}
}

// Resting tells that at most half of what may be bound is.
func (u *Upstream) BelowLowWatermark() bool {
	return int(u.queue.bound.Load()) <= u.limit.now()/2
}

// Healthy tells that the first probe is over and the breaker is not open.
func (u *Upstream) Healthy() bool { return u.probed.Load() && u.breaker.State() != breaker.Open }

// accepting tells that packets may be sent now.
func (u *Upstream) accepting(now time.Time) bool { return u.Healthy() && !u.pausing(now) }

func (u *Upstream) pausing(now time.Time) bool { return u.elapsed(now) < u.pausedUntil.Load() }

// counted returns a moment as nanoseconds from 1 on since the analyzer was made, and
// 0 for one before.
func (u *Upstream) elapsed(moment time.Time) int64 { return max(0, int64(moment.Sub(u.created))+1) }

// Health describes the analyzer's health in a word or two.
func (u *Upstream) Health() string {
	now := time.Now()
	switch state := u.breaker.State(); {
	case !u.Healthy():
		return "down"
	case state == breaker.HalfOpen:
		return "on trial"
	case u.pausing(now):
		return "pausing"
	case u.Weight(now) < u.config.Weight:
		return "warming up"
	default:
		return "healthy"
	}
}

// Hasten makes an unhealthy analyzer be asked again soon. The caller calls it
// every TickInterval while no analyzer can be given packets.
func (u *Upstream) ProbeSoon(now time.Time) {
	if u.breaker.ProbeSoon(now) {
		u.prober.reschedule()
	}
}

// NextTrial is when an unhealthy analyzer is asked again, at the earliest.
func (u *Upstream) NextProbe() time.Time { return u.breaker.NextProbe() }

// Weight returns the configured weight, less while the analyzer is on trial or
// starts slowly after a return.
func (u *Upstream) Weight(now time.Time) float64 {
	const minShare = 0.1
	if u.breaker.State() == breaker.HalfOpen {
		return minShare * u.config.Weight
	}
	left := u.slowStartUntil.Load() - u.elapsed(now)
	if left <= 0 {
		return u.config.Weight
	}
	return max(minShare, 1-float64(left)/float64(u.config.SlowStart)) * u.config.Weight
}

// note acts on the breaker's edges; they are rare.
func (u *Upstream) onTransition(transition breaker.Transition, changed bool) func(cause string) {
	return func(cause string) {
		if !changed {
			return
		}
		u.metrics.transitions[transition.To].Inc()
		switch transition.To {
		case breaker.Open:
			u.logger.Warn("analyzer is unhealthy: its packets go elsewhere", "cause", cause, "next_trial", u.breaker.NextProbe())
			u.interrupt()
			u.nack(u.queue.trim(0))
		case breaker.HalfOpen:
			u.logger.Info("analyzer answers again: trying a few packets")
		case breaker.Closed:
			u.slowStartUntil.Store(u.elapsed(time.Now().Add(u.config.SlowStart)))
			u.logger.Info("analyzer is healthy: its share grows back", "over", u.config.SlowStart)
		}
		u.prober.reschedule()
		u.settler.Changed()
	}
}

// pause follows an analyzer's "not now". The longest one counts.
func (u *Upstream) pause(until time.Time) {
	end := u.elapsed(until)
	for before := u.pausedUntil.Load(); before < end; before = u.pausedUntil.Load() {
		if !u.pausedUntil.CompareAndSwap(before, end) {
			continue
		}
		if before <= u.elapsed(time.Now()) {
			u.logger.Info("analyzer asks for a pause: its packets go elsewhere", "until", until)
		}
		break
	}
	u.nack(u.queue.trim(0))
}
