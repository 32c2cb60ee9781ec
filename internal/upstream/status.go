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
	// PausedUntil is the end of a pause that the analyzer asked for, zero if there is none.
	PausedUntil time.Time
	// Probing means that the result of the first probe, or of the first one after
	// maintenance, is not known yet.
	Probing bool
	// Evicted means that the analyzer is sent no packets; see Upstream.Evict.
	Evicted bool
	// Limit is the maximum number of packets that may be bound now, Bound those that are.
	Limit, Bound int
}

// Status returns the state of the analyzer. It may be called concurrently.
func (u *Upstream) Status(now time.Time) Status {
	s := Status{
		Healthy: u.Healthy(), Health: u.Health(), Ramp: u.Ramp(now), Breaker: u.breaker.Status(now),
		Probing: !u.probed.Load() && !u.unprobed.Load(), Evicted: u.evicted.Load(),
		Limit: u.limit.now(), Bound: int(u.queue.bound.Load()),
	}
	if left := u.pausedUntil.Load() - u.elapsed(now); left > 0 {
		s.PausedUntil = now.Add(time.Duration(left))
	}
	return s
}
