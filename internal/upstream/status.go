package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Status is the state of an analyzer for operators.
type Status struct {
	Healthy bool // the first probe is complete and the breaker is not open
	// Health is a short description of the health.
	Health string
	// Ramp is the part of the weight that counts, see Upstream.Ramp.
	Ramp    float64
	Breaker breaker.Status
	// Outage is why the breaker opened last, such as a refused connection; it is empty while
	// the breaker is closed.
	Outage string
	// PausedUntil is the end of a pause that the analyzer requested, zero if there is none.
	PausedUntil time.Time
	// Probing means that the result of the first probe, or of the first one after
	// maintenance, is not known yet.
	Probing bool
	// Limit is the maximum number of packets that may be bound now.
	Limit int
	// Pace is how many messages a second it delivered lately, HighestPace the maximum of
	// the last ten minutes.
	Pace, HighestPace float64
	// LatencyP99 is the 99th percentile of the times from the acceptance to the delivery
	// of the last 30 to 60 seconds, 0 if there were none.
	LatencyP99 time.Duration
}

// Status returns the state of the analyzer. It may be called concurrently.
func (u *Upstream) Status(now time.Time) Status {
	s := Status{
		Healthy: u.Healthy(), Health: u.Health(), Ramp: u.Ramp(now), Breaker: u.breaker.Status(now),
		Probing: !u.probed.Load() && !u.unprobed.Load(),
		Pace:    u.pace.now(), HighestPace: u.pace.highest(), LatencyP99: u.metrics.latency.quantile(0.99),
		Limit: u.limit.now(), Outage: u.Cause(),
	}
	if left := u.pausedUntil.Load() - u.elapsed(now); left > 0 {
		s.PausedUntil = now.Add(time.Duration(left))
	}
	return s
}

// FullPace returns how many messages a second the analyzer delivers while more comes than it can
// deliver, which is what it can do; 0 is unknown: not that much has come for a second yet. It may be
// called concurrently.
func (u *Upstream) FullPace() float64 { return u.pace.full() }
