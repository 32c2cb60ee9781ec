// Package breaker implements a circuit breaker for one analyzer. It is a state
// machine without clock, goroutines or I/O: callers report the results of sends
// and probes together with the time.
//
//	         too many failures                 a probe succeeds, not before NextProbe
//	closed ─────────────────────▶ open ──────────────────────────────────────▶ half-open
//	   ▲                            ▲                                           │   │
//	   │                            └───────────────── any failure ─────────────┘   │
//	   └────────────────── Config.HalfOpenRequests sends succeed ───────────────────┘
//
// Each transition is returned to exactly one caller, so that it is logged and
// counted once. Memory use is constant, and State and Closed are lock-free.
//
// Callers decide what counts as a failure: responses such as 400 and 429, and
// requests that the caller canceled, must not be reported with Failure.
package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// State is the state of a Breaker.
type State int32

// The states.
const (
	Closed   State = iota // all packets may be sent
	HalfOpen              // a few packets may be sent
	Open                  // only probes may be sent
)

// String returns the metric label of the state: closed, half_open or open.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half_open"
	default:
		return "open"
	}
}

// Transition is a change of state. From and To are equal if the state has not changed.
type Transition struct{ From, To State }

// Changed reports whether the state has changed.
func (t Transition) Changed() bool { return t.From != t.To }

// Breaker is the circuit breaker of one analyzer. It is safe for concurrent use.
// Callers must pass times of one clock; slightly out of order is allowed.
type Breaker struct {
	random func() float64 // returns numbers in [0,1); called with mu held
	state  atomic.Int32   // a State; written with mu held

	mu     sync.Mutex // guards all fields below
	config Config
	// forcedUntil is the end of a ForceOpen. The breaker is open until then, unless Reset.
	forcedUntil time.Time

	// Consecutive failures. A successful send resets both counters, a successful
	// probe only failedProbes: an analyzer may answer probes and accept no packet.
	failedSends, failedProbes int
	recent                    window

	halfOpenSuccesses int // successful sends since the breaker became half-open

	// Intervals before jitter.
	cooldown      time.Duration // of the last transition from closed to open; 0 if none is remembered
	openInterval  time.Duration // of the last transition to open
	probeInterval time.Duration // until the next probe

	nextProbe time.Time
	closedAt  time.Time
}

// New returns a closed Breaker. The configuration must be valid.
func New(c Config) *Breaker {
	return &Breaker{config: c, random: rand.Float64, recent: newWindow(c.RatioWindow)}
}

// State returns the current state without locking.
func (b *Breaker) State() State { return State(b.state.Load()) }

// Closed reports without locking whether the breaker is closed.
func (b *Breaker) Closed() bool { return b.State() == Closed }

// NextProbe returns the earliest time of the next probe if the breaker is open,
// and the zero time otherwise.
func (b *Breaker) NextProbe() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.State() != Open {
		return time.Time{}
	}
	return b.nextProbe
}

// Success records a successful send. It has no effect while the breaker is open:
// the send began before the breaker opened.
func (b *Breaker) Success(now time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.State() {
	case Closed:
		b.failedSends, b.failedProbes = 0, 0
		b.recent.add(now, false)
	case HalfOpen:
		if b.halfOpenSuccesses++; b.halfOpenSuccesses >= b.config.HalfOpenRequests {
			return b.closeCircuit(now)
		}
	}
	return Transition{}
}

// Failure records a failed send. It has no effect while the breaker is open: the
// send began before the breaker opened.
func (b *Breaker) Failure(now time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.State() {
	case Closed:
		b.failedSends++
		b.recent.add(now, true)
		return b.evaluate(now)
	case HalfOpen:
		return b.open(now)
	}
	return Transition{}
}

// ProbeSucceeded records a successful probe. An open breaker becomes half-open,
// unless now is before NextProbe.
func (b *Breaker) ProbeSucceeded(now time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failedProbes = 0
	if b.State() != Open || now.Before(b.nextProbe) {
		return Transition{}
	}
	return b.halfOpen()
}

// ProbeFailed records a failed probe. While the breaker is open, the interval
// until NextProbe doubles, unless now is before NextProbe.
func (b *Breaker) ProbeFailed(now time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.State() {
	case Closed:
		b.failedProbes++
		return b.evaluate(now)
	case HalfOpen:
		return b.open(now)
	}
	if !now.Before(b.nextProbe) {
		b.probeInterval = min(2*b.probeInterval, b.config.MaxProbeInterval)
		b.nextProbe = now.Add(b.withJitter(b.probeInterval))
	}
	return Transition{}
}

// soonDelay is the delay of a probe that ProbeSoon schedules.
const soonDelay = 500 * time.Millisecond

// ProbeSoon moves the next probe of an open breaker to soonDelay from now, and
// reports whether that is earlier. Callers use it while no analyzer is available.
func (b *Breaker) ProbeSoon(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	soon := now.Add(b.withJitter(soonDelay))
	if b.State() != Open || !soon.Before(b.nextProbe) || soon.Before(b.forcedUntil) {
		return false
	}
	b.nextProbe = soon
	return true
}

// Trip opens the breaker unless it is open, for an analyzer whose first probe
// failed, or that must not get packets.
func (b *Breaker) Trip(now time.Time) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.State() == Open {
		return Transition{}
	}
	return b.open(now)
}

// evaluate opens a closed breaker if a threshold is reached.
func (b *Breaker) evaluate(now time.Time) Transition {
	if b.failedSends+b.failedProbes >= b.config.MaxFailures {
		return b.open(now)
	}
	recent := b.recent.within(now)
	if recent.sends >= b.config.RatioMinSends && float64(recent.failed) >= b.config.FailureRatio*float64(recent.sends) {
		return b.open(now)
	}
	return Transition{}
}

// open opens the breaker. From closed, the cooldown doubles, unless the breaker was
// closed for longer than CooldownReset. From half-open, the interval is bounded by
// MaxProbeInterval as after a failed probe, so that a recovery is detected soon.
func (b *Breaker) open(now time.Time) Transition {
	if b.Closed() {
		if now.Sub(b.closedAt) > b.config.CooldownReset {
			b.cooldown = 0
		}
		b.cooldown = max(b.config.InitialCooldown, min(2*b.cooldown, b.config.MaxCooldown))
		b.openInterval = b.cooldown
	} else {
		b.openInterval = min(2*b.openInterval, b.config.MaxProbeInterval)
	}
	b.probeInterval = b.openInterval
	b.nextProbe = now.Add(b.withJitter(b.probeInterval))
	return b.setState(Open)
}

func (b *Breaker) halfOpen() Transition {
	b.halfOpenSuccesses = 0
	return b.setState(HalfOpen)
}

func (b *Breaker) closeCircuit(now time.Time) Transition {
	b.closedAt = now
	b.forcedUntil = time.Time{}
	b.failedSends, b.failedProbes = 0, 0
	b.recent.clear()
	return b.setState(Closed)
}

func (b *Breaker) setState(to State) Transition {
	return Transition{State(b.state.Swap(int32(to))), to}
}

// withJitter returns the interval, changed by up to 20 % in either direction.
func (b *Breaker) withJitter(interval time.Duration) time.Duration {
	return time.Duration(float64(interval) * (0.8 + 0.4*b.random()))
}
