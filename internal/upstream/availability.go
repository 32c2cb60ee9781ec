package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Capacity returns how many packets may be bound now. Brief tells that the
// analyzer works, so that a lack of room should pass soon.
func (u *Upstream) Capacity(now time.Time) (packets int, brief bool) {
	if !u.asked.Load() || u.pausing(now) {
		return 0, false
	}
	bound := int(u.queue.bound.Load())
	switch u.breaker.State() {
	case breaker.Closed:
		return max(u.limit.now()-bound, 0), true
	case breaker.HalfOpen:
		return max(trials-bound, 0), false
	default:
		return 0, false
	}
}

// BelowLowWatermark tells that at most half of what may be bound is.
func (u *Upstream) BelowLowWatermark() bool {
	return int(u.queue.bound.Load()) <= u.limit.now()/2
}

// Healthy tells that the first probe is over and the breaker is not open.
func (u *Upstream) Healthy() bool { return u.asked.Load() && u.breaker.State() != breaker.Open }

// accepting tells that packets may be sent now.
func (u *Upstream) accepting(now time.Time) bool { return u.Healthy() && !u.pausing(now) }

func (u *Upstream) pausing(now time.Time) bool { return u.counted(now) < u.pausedUntil.Load() }

// counted returns a moment as nanoseconds from 1 on since the analyzer was made, and
// 0 for one before.
func (u *Upstream) counted(moment time.Time) int64 { return max(0, int64(moment.Sub(u.began))+1) }

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

// ProbeSoon makes an unhealthy analyzer be asked again soon. The caller calls it
// every TickInterval while no analyzer can be given packets.
func (u *Upstream) ProbeSoon(now time.Time) {
	if u.breaker.Hasten(now) {
		u.prober.reschedule()
	}
}

// NextTrial is when an unhealthy analyzer is asked again, at the earliest.
func (u *Upstream) NextTrial() time.Time { return u.breaker.NextTrial() }

// Weight returns the configured weight, less while the analyzer is on trial or
// starts slowly after a return.
func (u *Upstream) Weight(now time.Time) float64 {
	const least = 0.1
	if u.breaker.State() == breaker.HalfOpen {
		return least * u.config.Weight
	}
	left := u.rampedUntil.Load() - u.counted(now)
	if left <= 0 {
		return u.config.Weight
	}
	return max(least, 1-float64(left)/float64(u.config.SlowStart)) * u.config.Weight
}

// note acts on the breaker's edges; they are rare.
func (u *Upstream) note(edge breaker.Transition, changed bool) func(cause string) {
	return func(cause string) {
		if !changed {
			return
		}
		u.metrics.transitions[edge.To].Inc()
		switch edge.To {
		case breaker.Open:
			u.logger.Warn("analyzer is unhealthy: its packets go elsewhere", "cause", cause, "next_trial", u.breaker.NextTrial())
			u.interrupt()
			u.release(u.queue.trim(0))
		case breaker.HalfOpen:
			u.logger.Info("analyzer answers again: trying a few packets")
		case breaker.Closed:
			u.rampedUntil.Store(u.counted(time.Now().Add(u.config.SlowStart)))
			u.logger.Info("analyzer is healthy: its share grows back", "over", u.config.SlowStart)
		}
		u.prober.reschedule()
		u.settler.CapacityChanged()
	}
}

// pause follows an analyzer's "not now". The longest one counts.
func (u *Upstream) pause(until time.Time) {
	end := u.counted(until)
	for before := u.pausedUntil.Load(); before < end; before = u.pausedUntil.Load() {
		if !u.pausedUntil.CompareAndSwap(before, end) {
			continue
		}
		if before <= u.counted(time.Now()) {
			u.logger.Info("analyzer asks for a pause: its packets go elsewhere", "until", until)
		}
		break
	}
	u.release(u.queue.trim(0))
}
