package breaker

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is a slow reference implementation that keeps all calls. Each time step is
// longer than the window of the failure ratio, so that only calls at the same time
// count together.
type model struct {
	config    Config
	state     State
	calls     []call // since the last transition to closed
	openings  int    // transitions from closed within CooldownReset
	closedAt  time.Time
	nextProbe time.Time
	probes    int // failed since the last transition to open
	cooldown  time.Duration
	passed    int
}

type call struct {
	kind string
	at   time.Time
}

func (m *model) report(kind string, now time.Time) {
	before := m.state
	switch {
	case kind == "trip":
		if m.state != Open {
			m.open(now)
		}
	case m.state == Closed:
		m.calls = append(m.calls, call{kind, now})
		failure := kind == "failure" || kind == "probe failed"
		if failure && (m.consecutive() >= m.config.MaxFailures || m.ratioExceeded(now)) {
			m.open(now)
		}
	case m.state == HalfOpen:
		m.halfOpen(kind, now)
	case !now.Before(m.nextProbe) && kind == "probe succeeded":
		m.state, m.passed = HalfOpen, 0
	case !now.Before(m.nextProbe) && kind == "probe failed":
		m.probes++
		wait := m.cooldown
		for range m.probes {
			wait = min(2*wait, m.config.MaxProbeInterval)
		}
		m.nextProbe = now.Add(wait)
	}
	if before != Closed && m.state == Closed {
		m.calls, m.closedAt = nil, now
	}
}

func (m *model) halfOpen(kind string, now time.Time) {
	switch kind {
	case "failure", "probe failed":
		m.open(now)
	case "success":
		if m.passed++; m.passed == m.config.HalfOpenRequests {
			m.state = Closed
		}
	}
}

// consecutive counts failed sends since the last successful send, and failed probes
// since the last success of any kind.
func (m *model) consecutive() int {
	count, probes := 0, true
	for _, c := range slices.Backward(m.calls) {
		switch {
		case c.kind == "success":
			return count
		case c.kind == "probe succeeded":
			probes = false
		case c.kind == "failure", c.kind == "probe failed" && probes:
			count++
		}
	}
	return count
}

func (m *model) ratioExceeded(now time.Time) bool {
	sends, failed := 0, 0
	for _, c := range m.calls {
		if c.at.Equal(now) && c.kind == "success" {
			sends++
		}
		if c.at.Equal(now) && c.kind == "failure" {
			sends++
			failed++
		}
	}
	return sends >= m.config.RatioMinSends && float64(failed)/float64(sends) >= m.config.FailureRatio
}

func (m *model) open(now time.Time) {
	if m.state == Closed {
		if now.Sub(m.closedAt) > m.config.CooldownReset {
			m.openings = 0
		}
		m.cooldown = m.config.InitialCooldown
		for range m.openings {
			m.cooldown = min(2*m.cooldown, m.config.MaxCooldown)
		}
		m.openings++
	} else { // from half-open
		m.cooldown = min(2*m.cooldown, m.config.MaxProbeInterval)
	}
	m.state, m.probes, m.nextProbe = Open, 0, now.Add(m.cooldown)
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := DefaultConfig()
		c.MaxFailures = rapid.IntRange(1, 6).Draw(t, "max failures")
		c.RatioMinSends = rapid.IntRange(1, 8).Draw(t, "ratio min sends")
		c.FailureRatio = rapid.SampledFrom([]float64{0.25, 0.5, 0.75, 1}).Draw(t, "ratio")
		c.RatioWindow = time.Millisecond
		c.HalfOpenRequests = rapid.IntRange(1, 4).Draw(t, "half-open requests")
		c.MaxCooldown, c.MaxProbeInterval, c.CooldownReset = 20*time.Second, 5*time.Second, time.Minute
		b, m, now := steady(c), &model{config: c}, start
		calls := map[string]func(time.Time) Transition{
			"success": b.Success, "failure": b.Failure, "trip": b.Trip,
			"probe succeeded": b.ProbeSucceeded, "probe failed": b.ProbeFailed,
		}
		kinds := []string{"success", "success", "success", "failure", "failure", "probe succeeded", "probe succeeded", "probe failed", "trip"}
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			step := rapid.SampledFrom([]string{"none", "none", "none", "second", "next probe", "long"}).Draw(t, "time")
			switch {
			case step == "second":
				now = now.Add(time.Second)
			case step == "next probe" && now.Before(b.NextProbe()):
				now = b.NextProbe()
			case step == "long":
				now = now.Add(40 * time.Second)
			}
			kind := rapid.SampledFrom(kinds).Draw(t, "call")
			before := m.state
			m.report(kind, now)
			transition, want := calls[kind](now), Transition{before, m.state}
			if transition.Changed() != want.Changed() || want.Changed() && transition != want {
				t.Fatalf("%s: %+v, want %+v", kind, transition, want)
			}
			if b.State() != m.state {
				t.Fatalf("%s: %s, want %s", kind, b.State(), m.state)
			}
			if m.state == Open && !b.NextProbe().Equal(m.nextProbe) {
				t.Fatalf("%s: next probe at %v, want %v", kind, b.NextProbe().Sub(start), m.nextProbe.Sub(start))
			}
		}
	})
}

// TestWindow compares the window with a list of all sends: all sends of the last
// 90 % of its length are counted, and none that is older than its length.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const length = 10 * time.Second
		w, now := newWindow(length), start
		steps := []time.Duration{0, time.Millisecond, 300 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second}
		type send struct {
			at     time.Time
			failed bool
		}
		var sends []send
		since := func(d time.Duration) (c count) {
			for _, s := range sends {
				if now.Sub(s.at) < d {
					c.sends++
					if s.failed {
						c.failed++
					}
				}
			}
			return c
		}
		for range rapid.IntRange(1, 200).Draw(t, "sends") {
			step := rapid.SampledFrom(steps).Draw(t, "step")
			now = now.Add(step + time.Duration(rapid.Int64Range(0, int64(step)).Draw(t, "more")))
			failed := rapid.Bool().Draw(t, "failed")
			w.add(now, failed)
			sends = append(sends, send{now, failed})
			got, minWant, maxWant := w.within(now), since(length*(slots-1)/slots), since(length)
			if got.sends < minWant.sends || got.sends > maxWant.sends || got.failed < minWant.failed || got.failed > maxWant.failed {
				t.Fatalf("counted %+v, want from %+v to %+v", got, minWant, maxWant)
			}
		}
	})
}
