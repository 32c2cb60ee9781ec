package breaker

import (
	"testing"
	"time"
)

// A reset closes the breaker in any state and forgets failures and cooldowns.
func TestReset(t *testing.T) {
	for _, script := range []string{"", "f f f f", "f f f f f >open", "f f f f f >open +2s p >half_open"} {
		b := steady(DefaultConfig())
		now := play(t, b, start, script)
		was := b.State()
		if got := b.Reset(now); got != (Transition{was, Closed}) || !b.Closed() {
			t.Errorf("%q: %+v", script, got)
		}
		play(t, b, now, "f f f f") // one less than opens it
		now = play(t, b, now, "f >open")
		if got := b.NextProbe().Sub(now); got != DefaultConfig().InitialCooldown {
			t.Errorf("%q: the cooldown after a reset is %v", script, got)
		}
	}
}

// No probe closes a breaker that is forced open before its time, and ProbeSoon does not move
// the next probe before it.
func TestForceOpen(t *testing.T) {
	for _, script := range []string{"", "f f f f f >open", "f f f f f >open +2s p >half_open"} {
		b := steady(DefaultConfig())
		now := play(t, b, start, script)
		until := now.Add(time.Hour)
		was := b.State()
		if got := b.ForceOpen(until); got != (Transition{was, Open}) || b.State() != Open || !b.NextProbe().Equal(until) {
			t.Errorf("%q: %+v, the next probe is at %v", script, got, b.NextProbe())
		}
		now = play(t, b, now, "p q s f +10m p q")
		if b.ProbeSoon(now) || !b.NextProbe().Equal(until) || !b.Status(now).ForcedUntil.Equal(until) {
			t.Errorf("%q: the next probe is at %v", script, b.NextProbe())
		}
		now = play(t, b, now, "+50m")
		if got := b.Status(now); got.State != Open || !got.ForcedUntil.IsZero() {
			t.Errorf("%q: %+v after its time", script, got)
		}
		play(t, b, now, "p >half_open s s s >closed")
	}
	b := steady(DefaultConfig())
	b.ForceOpen(start.Add(time.Hour))
	b.ForceOpen(start.Add(time.Second))
	play(t, b, start.Add(time.Second), "p >half_open")
}

// New thresholds apply from the next event on.
func TestConfigure(t *testing.T) {
	b := steady(DefaultConfig())
	now := play(t, b, start, "f f f")
	config := DefaultConfig()
	config.MaxFailures = 4
	b.Configure(config)
	play(t, b, now, "f >open")
}
