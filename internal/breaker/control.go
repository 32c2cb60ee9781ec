package breaker

import "time"

// Configure replaces the thresholds and intervals, from the next event on. The state and
// the counters stay as they are. RatioWindow cannot be changed. The configuration must be
// valid.
func (b *Breaker) Configure(c Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = c
}

// Reset closes the breaker, whatever its state, and forgets earlier failures.
func (b *Breaker) Reset(now time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cooldown = 0
	return b.closeCircuit(now)
}

// ForceOpen opens the breaker until a time: no probe closes it before. From then on it is
// probed as after any other failure. The last call counts.
func (b *Breaker) ForceOpen(until time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forcedUntil, b.nextProbe = until, until
	b.openInterval = b.config.InitialCooldown
	b.probeInterval = b.openInterval
	return b.setState(Open)
}

// Status describes the state of a breaker.
type Status struct {
	State State
	// ForcedUntil is the end of a ForceOpen, zero if there is none.
	ForcedUntil time.Time
	// NextProbe is the earliest time of the next probe if the breaker is open.
	NextProbe time.Time
}

// Status returns a consistent snapshot.
func (b *Breaker) Status(now time.Time) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{State: b.State()}
	if s.State == Open {
		s.NextProbe = b.nextProbe
		if now.Before(b.forcedUntil) {
			s.ForcedUntil = b.forcedUntil
		}
	}
	return s
}
