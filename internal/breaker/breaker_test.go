package breaker

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// steady returns a breaker without jitter.
func steady(c Config) *Breaker {
	b := New(c)
	b.random = func() float64 { return 0.5 }
	return b
}

// play makes the calls of a script of words: s and f for a successful and a failed
// send, p and q for a successful and a failed probe, t for Trip, +1s to advance the
// time, and >open, >half_open, >closed for the transition that the preceding call
// must have returned. All other calls must return none. It returns the final time.
func play(t *testing.T, b *Breaker, now time.Time, script string) time.Time {
	t.Helper()
	calls := map[string]func(time.Time) Transition{
		"s": b.Success, "f": b.Failure, "p": b.ProbeSucceeded, "q": b.ProbeFailed, "t": b.Trip,
	}
	words := strings.Fields(script)
	for i, word := range words {
		if strings.HasPrefix(word, ">") {
			continue
		}
		if pause, found := strings.CutPrefix(word, "+"); found {
			d, err := time.ParseDuration(pause)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			continue
		}
		want := ""
		if i+1 < len(words) {
			want, _ = strings.CutPrefix(words[i+1], ">")
			if want == words[i+1] {
				want = ""
			}
		}
		from := b.State()
		transition := calls[word](now)
		switch got := transition.To.String(); {
		case transition.Changed() != (want != "") || want != "" && got != want:
			t.Fatalf("call %d (%q) of %q: %+v, want %q", i, word, script, transition, want)
		case transition.Changed() && transition != Transition{from, b.State()}:
			t.Fatalf("call %d (%q) of %q: %+v, but the state went from %s to %s", i, word, script, transition, from, b.State())
		}
	}
	return now
}

func TestSequences(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"five consecutive sends", "f f f f f >open"},
		{"a successful send resets the count", "f f f f s f f f f f >open"},
		{"five consecutive probes", "q q q q q >open"},
		{"a successful probe resets the count of probes", "q q q q p q q q q q >open"},
		{"failed probes and sends add up", "f q f q f >open"},
		{"a successful send resets both counts", "f q f q s f q f q f >open"},
		{"successful probes do not reset failed sends", "f p f p f p f p f >open"},
		{"a successful probe keeps failed sends", "f f q q p q q q >open"},
		{"failures hours apart are consecutive", "f +1h f +1h f +1h f +1h f >open"},
		{"late results have no effect while open", "f f f f f >open s s s s f f f"},
		{"a probe before NextProbe has no effect", "t >open +999ms p +1ms p >half_open"},
		{"sends do not end the cooldown", "t >open +2s s s s s p >half_open"},
		{"three successful sends close", "t >open +1s p >half_open s s s >closed"},
		{"successful probes do not close", "t >open +1s p >half_open p p p p s s s >closed"},
		{"one failed send while half-open opens", "t >open +1s p >half_open s s f >open"},
		{"a failed probe while half-open opens", "t >open +1s p >half_open q >open"},
		{"a trip while half-open opens", "t >open +1s p >half_open t >open"},
		{"successes are counted anew after half-open", "t >open +1s p >half_open s s f >open +2s p >half_open s s s >closed"},
		{"closing resets the failures", "f f f f q >open +1s p >half_open s s s >closed f f f f q >open"},
		{"a second trip has no effect", "t >open t +2s t p >half_open"},
	} {
		t.Run(c.name, func(t *testing.T) { play(t, steady(DefaultConfig()), start, c.script) })
	}
}

func TestFailureRatio(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"half of twenty", strings.Repeat("s f ", 9) + "s f >open"},
		{"too few sends", strings.Repeat("s f ", 9) + "f p"},
		{"slightly less than half", strings.Repeat("s f ", 9) + "s s " + strings.Repeat("f s ", 20)},
		{"sends outside the window do not count", strings.Repeat("s f ", 9) + "+11s " + strings.Repeat("s f ", 9) + "s f >open"},
		{"slow, within the window", strings.Repeat("s f +900ms ", 9) + "s f >open"},
		{"slow, outside the window", strings.Repeat("s f +1200ms ", 40)},
		{"closing resets the window", strings.Repeat("s f ", 9) + "t >open +1s p >half_open s s s >closed s f"},
	} {
		t.Run(c.name, func(t *testing.T) { play(t, steady(DefaultConfig()), start, c.script) })
	}
}

// intervalOf returns the time until the next probe.
func intervalOf(b *Breaker, now time.Time) time.Duration { return b.NextProbe().Sub(now) }

func TestFlappingDoublesCooldown(t *testing.T) {
	b, now := steady(DefaultConfig()), start
	want := time.Second
	for range 12 {
		now = play(t, b, now, "f f f f f >open")
		if got := intervalOf(b, now); got != want {
			t.Fatalf("interval %v, want %v", got, want)
		}
		now = play(t, b, b.NextProbe(), "p >half_open s s s >closed +9m")
		want = min(2*want, 5*time.Minute)
	}
	now = play(t, b, now, "+1m f f f f f >open")
	if got := intervalOf(b, now); got != 5*time.Minute {
		t.Errorf("interval %v after being closed for exactly CooldownReset, want 5m", got)
	}
	now = play(t, b, b.NextProbe(), "p >half_open s s s >closed +10m1s f f f f f >open")
	if got := intervalOf(b, now); got != time.Second {
		t.Errorf("interval %v after being closed for longer than CooldownReset, want 1s", got)
	}
}

func TestHalfOpenFailuresDoubleInterval(t *testing.T) {
	b := steady(DefaultConfig())
	now := play(t, b, start, "t >open +1h")
	for _, want := range []time.Duration{2, 4, 8, 10, 10} {
		now = play(t, b, now, "p >half_open +1h f >open")
		if got := intervalOf(b, now); got != want*time.Second {
			t.Errorf("interval %v, want %v", got, want*time.Second)
		}
		now = b.NextProbe()
	}
	now = play(t, b, now, "p >half_open s s s >closed f f f f f >open")
	if got := intervalOf(b, now); got != 2*time.Second {
		t.Errorf("interval %v after the second transition from closed, want 2s: half-open failures must not double it", got)
	}
}

func TestFailedProbesDoubleInterval(t *testing.T) {
	b := steady(DefaultConfig())
	now := play(t, b, start, "t >open")
	for _, want := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
		if got := intervalOf(b, now); got != want*time.Second {
			t.Fatalf("interval %v, want %v", got, want*time.Second)
		}
		next := b.NextProbe()
		play(t, b, next.Add(-1), "q")
		if !b.NextProbe().Equal(next) {
			t.Fatal("a failed probe before NextProbe delays the next one")
		}
		now = play(t, b, next, "q")
	}
	now = play(t, b, b.NextProbe(), "p >half_open f >open")
	if got := intervalOf(b, now); got != 2*time.Second {
		t.Errorf("interval %v after the second transition, want 2s: failed probes must not double it", got)
	}
}

func TestProbeSoon(t *testing.T) {
	b, now := steady(DefaultConfig()), time.Now()
	if b.ProbeSoon(now) {
		t.Error("ProbeSoon has an effect on a closed breaker")
	}
	b.Trip(now)
	for range 5 { // the interval is 32 s now
		now = b.NextProbe()
		b.ProbeFailed(now)
	}
	if !b.ProbeSoon(now) || b.NextProbe() != now.Add(soonDelay) {
		t.Errorf("the next probe is in %v, want %v", b.NextProbe().Sub(now), soonDelay)
	}
	now = now.Add(soonDelay / 2)
	if b.ProbeSoon(now) {
		t.Error("ProbeSoon delays a probe")
	}
	now = b.NextProbe()
	if !b.ProbeSucceeded(now).Changed() || b.State() != HalfOpen {
		t.Error("a probe at the new time does not count")
	}
	b.Failure(now)
	if got := b.NextProbe().Sub(now); got < 2*time.Second {
		t.Errorf("the next interval is %v, want it to double further", got)
	}
}

func TestMaxProbeIntervalBelowCooldown(t *testing.T) {
	c := DefaultConfig()
	c.InitialCooldown, c.MaxProbeInterval = 4*time.Minute, 200*time.Millisecond
	b := steady(c)
	now := play(t, b, start, "t >open +4m q")
	if got := intervalOf(b, now); got != 200*time.Millisecond {
		t.Errorf("interval %v, want 200ms", got)
	}
}

func TestJitter(t *testing.T) {
	for _, c := range []struct {
		random float64
		want   time.Duration
	}{{0, 800 * time.Millisecond}, {0.5, time.Second}, {0.75, 1100 * time.Millisecond}} {
		b := New(DefaultConfig())
		b.random = func() float64 { return c.random }
		now := play(t, b, start, "t >open")
		if got := intervalOf(b, now); got != c.want {
			t.Errorf("interval %v with %v, want %v", got, c.random, c.want)
		}
	}
	seen := map[time.Duration]bool{}
	for range 50 {
		b := New(DefaultConfig())
		now := play(t, b, start, "t >open")
		interval := intervalOf(b, now)
		if seen[interval] = true; interval < 800*time.Millisecond || interval > 1200*time.Millisecond {
			t.Errorf("interval %v is outside the jitter", interval)
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d different intervals of 50", len(seen))
	}
}

func TestStateNames(t *testing.T) {
	if got := Closed.String() + " " + HalfOpen.String() + " " + Open.String(); got != "closed half_open open" {
		t.Error(got)
	}
	b := steady(DefaultConfig())
	if b.State() != Closed || !b.Closed() || !b.NextProbe().IsZero() {
		t.Error("a new breaker is not closed")
	}
}

// TestTransitionsAreReturnedOnce reports from many goroutines: the transitions that
// all of them got must form one sequence.
func TestTransitionsAreReturnedOnce(t *testing.T) {
	const goroutines, calls = 8, 2000
	c := DefaultConfig()
	c.InitialCooldown, c.MaxCooldown, c.MaxProbeInterval = 1, 1, 1
	b := steady(c)
	var clock atomic.Int64
	var transitions [3][3]atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range calls {
				now := start.Add(time.Duration(clock.Add(10)))
				report := []func(time.Time) Transition{b.Success, b.Failure, b.ProbeSucceeded, b.ProbeFailed, b.Trip}
				kind := (i/20 + g) % 5
				if transition := report[kind](now); transition.Changed() {
					transitions[transition.From][transition.To].Add(1)
				}
				b.NextProbe()
			}
		})
	}
	wg.Wait()
	count := func(from, to State) int64 { return transitions[from][to].Load() }
	for _, state := range []State{Closed, HalfOpen, Open} {
		in, out := int64(0), int64(0)
		for _, other := range []State{Closed, HalfOpen, Open} {
			in += count(other, state)
			out += count(state, other)
		}
		if state == Closed {
			in++ // the initial state
		}
		if state == b.State() {
			out++ // the final state
		}
		if in != out {
			t.Errorf("%s was entered %d times and left %d times", state, in, out)
		}
	}
	if count(Closed, Open) == 0 || count(Open, HalfOpen) == 0 || count(HalfOpen, Open) == 0 {
		t.Error("not all transitions occurred")
	}
	if count(Open, Closed)+count(Closed, HalfOpen)+count(Closed, Closed)+count(Open, Open)+count(HalfOpen, HalfOpen) != 0 {
		t.Error("an impossible transition was returned")
	}
}

// Of many concurrent failures exactly one returns the transition to open.
func TestConcurrentFailuresOpenOnce(t *testing.T) {
	for range 50 {
		b := steady(DefaultConfig())
		var opened atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if b.Failure(start).Changed() {
					opened.Add(1)
				}
			})
		}
		wg.Wait()
		if opened.Load() != 1 {
			t.Fatalf("%d callers got the transition", opened.Load())
		}
	}
}

func BenchmarkSuccess(b *testing.B) {
	breaker, now := New(DefaultConfig()), start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		breaker.Success(now)
	}
}
