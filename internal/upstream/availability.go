package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Capacity returns the number of packets that may be bound now. transient reports that
// the analyzer is available, so that a lack of capacity is expected to pass soon.
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

// BelowLowWatermark reports whether at most half of the limit is bound.
func (u *Upstream) BelowLowWatermark() bool {
	return int(u.queue.bound.Load()) <= u.limit.now()/2
}

// Healthy reports whether the first probe, or the first one after maintenance, is complete
// and the breaker is not open.
func (u *Upstream) Healthy() bool { return u.probed.Load() && u.breaker.State() != breaker.Open }

// HalfOpen reports whether the analyzer failed and is tried with a few packets.
func (u *Upstream) HalfOpen() bool { return u.breaker.State() == breaker.HalfOpen }

// Cause returns why the breaker opened last; it is empty while the breaker is closed.
func (u *Upstream) Cause() string {
	if cause := u.outage.Load(); cause != nil {
		return *cause
	}
	return ""
}

// accepting reports whether packets may be sent now.
func (u *Upstream) accepting(now time.Time) bool {
	return u.Healthy() && !u.pausing(now) && !u.evicted.Load()
}

func (u *Upstream) pausing(now time.Time) bool { return u.elapsed(now) < u.pausedUntil.Load() }

// elapsed returns the nanoseconds from the creation of the Upstream to the moment, plus 1;
// 0 if the moment is earlier.
func (u *Upstream) elapsed(moment time.Time) int64 { return max(0, int64(moment.Sub(u.created))+1) }

// Health returns a short description of the state for display.
func (u *Upstream) Health() string {
	now := time.Now()
	switch state := u.breaker.State(); {
	case !u.Healthy():
		return "down"
	case state == breaker.HalfOpen:
		return "half-open"
	case u.pausing(now):
		return "pausing"
	case u.Ramp(now) < 1:
		return "warming up"
	default:
		return "healthy"
	}
}

// ProbeSoon moves the next probe of an unhealthy analyzer forward. Callers call it every
// TickInterval while no analyzer is available.
func (u *Upstream) ProbeSoon(now time.Time) {
	if u.breaker.ProbeSoon(now) {
		u.prober.rescheduled.Notify()
	}
}

// NextProbe returns the earliest time of the next probe of an unhealthy analyzer.
func (u *Upstream) NextProbe() time.Time { return u.breaker.NextProbe() }

// Ramp returns the part of its weight, from 0 to 1, that counts while the breaker is
// half-open and during the slow start.
func (u *Upstream) Ramp(now time.Time) float64 {
	const minRamp = 0.1
	if u.breaker.State() == breaker.HalfOpen {
		return minRamp
	}
	from := u.slowStartFrom.Load()
	passed, slowStart := u.elapsed(now)-from, int64(u.config.Load().SlowStart)
	if from == 0 || passed >= slowStart {
		return 1
	}
	return max(minRamp, float64(passed)/float64(slowStart))
}

// onTransition acts on a transition of the breaker, if it is one.
func (u *Upstream) onTransition(transition breaker.Transition, cause string) {
	if !transition.Changed() {
		return
	}
	u.metrics.transitions[transition.To].Inc()
	switch transition.To {
	case breaker.Open:
		outage := cause // so that only this allocates
		u.outage.Store(&outage)
		u.logger.Warn("analyzer is unhealthy: its packets are rerouted", "cause", cause, "next_probe", u.breaker.NextProbe())
		u.interrupt()
		u.nack(u.queue.trim(0))
	case breaker.HalfOpen:
		u.logger.Info("analyzer is half-open: a few packets are sent")
	case breaker.Closed:
		u.outage.Store(nil)
		u.slowStartFrom.Store(u.elapsed(time.Now()))
		u.logger.Info("analyzer is healthy: slow start", "duration", u.config.Load().SlowStart)
	}
	u.prober.rescheduled.Notify()
	u.settler.CapacityChanged()
}

// pauseLogInterval is the time without a pause after which the next one is logged: an overloaded
// backend may request one each second, for hours.
const pauseLogInterval = time.Minute

// pause stops sending until a time that the analyzer requested; the latest time counts.
func (u *Upstream) pause(until time.Time) {
	end := u.elapsed(until)
	for before := u.pausedUntil.Load(); before < end; before = u.pausedUntil.Load() {
		if !u.pausedUntil.CompareAndSwap(before, end) {
			continue
		}
		if before == 0 || u.elapsed(time.Now())-before >= int64(pauseLogInterval) {
			u.logger.Info("analyzer requests a pause: its packets are rerouted; further pauses are only counted until a minute has passed without any", "until", until)
		}
		break
	}
	u.nack(u.queue.trim(0))
}
