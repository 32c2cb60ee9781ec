// Package breaker decides whether one analyzer is sent packets, from what
// became of the sends and probes before. It is a state machine without a clock,
// a goroutine or any input or output: callers report results with the time at
// which they came.
//
//	          too many failures                 a probe answers, not before NextTrial
//	closed ─────────────────────▶ open ──────────────────────────────────────▶ half-open
//	   ▲                            ▲                                           │   │
//	   │                            └───────────────── any failure ─────────────┘   │
//	   └─────────────────────── Config.Trials sends succeed ────────────────────────┘
//
// It is promised that every change of state is returned to exactly one caller,
// so that it can be logged and counted once; that memory is constant; and that
// State and Closed never wait.
//
// What counts against an analyzer is for the caller to say: an answer such as
// 400 or 429 is no Failure, nor is an emitter that went away.
package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// State says what an analyzer may be sent.
type State int32

// The states.
const (
	Closed   State = iota // everything
	HalfOpen              // a few trials
	Open                  // nothing but probes
)

// String returns closed, half_open or open, as metrics name them.
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

// Transition is a change of state.
type Transition struct {
	From, To State
	Cause    Cause
	// NextTrial is the earliest moment for a probe when To is Open.
	NextProbe time.Time
}

// Cause is why a state changed, in words for a log.
type Cause string

// The causes.
const (
	ConsecutiveFailures Cause = "too many failures in a row"
	FailureRatio        Cause = "too many of the latest sends failed"
	HalfOpenFailure     Cause = "a failure while half-open"
	Tripped             Cause = "it did not answer at the start"
	ProbeAnswered       Cause = "a probe was answered"
	HalfOpenSuccess     Cause = "the trials succeeded"
)

// Breaker watches one analyzer. All methods may be called concurrently. The
// times given to them should come from one clock; slightly out of order is fine.
type Breaker struct {
	config Config
	state  atomic.Int32 // a State; written under mu

	mu sync.Mutex // guards what follows

	// A send that succeeds ends both rows of failures; a probe that succeeds
	// ends only the row of probes, because an analyzer may answer its probes
	// and yet take no packet.
	failedSends, failedProbes int
	recent                    window

	halfOpenSuccesses int // sends that succeeded while half-open

	// All before jitter.
	cooldown      time.Duration // after the latest opening from closed; 0 when none is remembered
	openInterval  time.Duration // after the latest opening
	probeInterval time.Duration // before the next probe

	nextProbe time.Time
	closedAt  time.Time
}

// New returns a closed breaker. The configuration must be valid.
func New(c Config) *Breaker {
	return &Breaker{config: c, recent: newWindow(c.RatioWindow)}
}

// State returns the present state, without waiting.
func (b *Breaker) State() State { return State(b.state.Load()) }

// Closed says whether the analyzer may be sent everything, without waiting.
func (b *Breaker) Closed() bool { return b.State() == Closed }

// NextTrial returns the earliest moment for the next probe while open, and the
// zero time otherwise.
func (b *Breaker) NextProbe() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.State() != Open {
		return time.Time{}
	}
	return b.nextProbe
}

// Success reports that a send succeeded. While open it changes nothing: it
// began before.
func (b *Breaker) Success(now time.Time) (Transition, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.State() {
	case Closed:
		b.failedSends, b.failedProbes = 0, 0
		b.recent.add(now, false)
	case HalfOpen:
		if b.halfOpenSuccesses++; b.halfOpenSuccesses >= b.config.HalfOpenRequests {
			return b.closeCircuit(now), true
		}
	}
	return Transition{}, false
}

// Failure reports that a send failed. While open it changes nothing: it began
// before.
func (b *Breaker) Failure(now time.Time) (Transition, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.State() {
	case Closed:
		b.failedSends++
		b.recent.add(now, true)
		return b.evaluate(now)
	case HalfOpen:
		return b.open(now, HalfOpenFailure), true
	}
	return Transition{}, false
}

// ProbeSucceeded reports that the analyzer answered a probe. While open that
// begins the trials, unless it comes before NextTrial.
func (b *Breaker) ProbeSucceeded(now time.Time) (Transition, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failedProbes = 0
	if b.State() != Open || now.Before(b.nextProbe) {
		return Transition{}, false
	}
	return b.halfOpen(), true
}

// ProbeFailed reports that the analyzer did not answer a probe. While open that
// puts NextTrial off, unless the probe came before it.
func (b *Breaker) ProbeFailed(now time.Time) (Transition, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.State() {
	case Closed:
		b.failedProbes++
		return b.evaluate(now)
	case HalfOpen:
		return b.open(now, HalfOpenFailure), true
	}
	if !now.Before(b.nextProbe) {
		b.probeInterval = min(2*b.probeInterval, b.config.MaxProbeInterval)
		b.nextProbe = now.Add(b.config.withJitter(b.probeInterval))
	}
	return Transition{}, false
}

// hastyPause is between probes while no analyzer can be sent anything.
const soonDelay = 500 * time.Millisecond

// Hasten brings the next trial forward, and tells whether it did. It is called
// while no analyzer can be sent anything: then there is nobody whom a trial
// could cost anything, and each moment does.
func (b *Breaker) ProbeSoon(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	soon := now.Add(b.config.withJitter(soonDelay))
	if b.State() != Open || !soon.Before(b.nextProbe) {
		return false
	}
	b.nextProbe = soon
	return true
}

// Trip opens the breaker at once, for an analyzer that does not answer its
// first probe. It does nothing when it is open.
func (b *Breaker) Trip(now time.Time) (Transition, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.State() == Open {
		return Transition{}, false
	}
	return b.open(now, Tripped), true
}

// judge opens a closed breaker when a failure was one too many.
func (b *Breaker) evaluate(now time.Time) (Transition, bool) {
	if b.failedSends+b.failedProbes >= b.config.MaxFailures {
		return b.open(now, ConsecutiveFailures), true
	}
	recent := b.recent.within(now)
	if recent.sends >= b.config.RatioMinSends && float64(recent.failed) >= b.config.FailureRatio*float64(recent.sends) {
		return b.open(now, FailureRatio), true
	}
	return Transition{}, false
}

// open begins a pause. From closed it is twice the one before, unless the
// breaker was closed for so long that it is forgotten; a trial that fails is as
// a probe that fails, so that the end of a long illness is noticed soon.
func (b *Breaker) open(now time.Time, cause Cause) Transition {
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
	b.nextProbe = now.Add(b.config.withJitter(b.probeInterval))
	return b.setState(Open, cause)
}

func (b *Breaker) halfOpen() Transition {
	b.halfOpenSuccesses = 0
	return b.setState(HalfOpen, ProbeAnswered)
}

func (b *Breaker) closeCircuit(now time.Time) Transition {
	b.closedAt = now
	b.failedSends, b.failedProbes = 0, 0
	b.recent.clear()
	return b.setState(Closed, HalfOpenSuccess)
}

func (b *Breaker) setState(to State, cause Cause) Transition {
	transition := Transition{From: b.State(), To: to, Cause: cause}
	if to == Open {
		transition.NextProbe = b.nextProbe
	}
	b.state.Store(int32(to))
	return transition
}
