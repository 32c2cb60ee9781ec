package autoscale

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow is an actuator that takes a time.
type slow struct {
	takes time.Duration
	calls []string
}

// Scale implements Actuator.
func (s *slow) Scale(ctx context.Context, d Decision) (string, error) {
	s.calls = append(s.calls, fmt.Sprintf("%s %d→%d", d.Group, d.Current, d.Desired))
	select {
	case <-time.After(s.takes):
		return "done", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func decision(group string, current, desired int) Decision {
	return Decision{Inputs: Inputs{Group: group, Current: current}, Desired: desired, Config: DefaultConfig()}
}

// Decisions are carried out one at a time, with a cooldown for each group.
func TestDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		actuator := &slow{takes: 10 * time.Second}
		var outcomes []Outcome
		d := NewDriver(actuator, func(o Outcome) { outcomes = append(outcomes, o) })
		drive := func(seconds int, decisions ...Decision) string {
			for range seconds {
				d.Drive(t.Context(), time.Now(), decisions)
				time.Sleep(time.Second)
			}
			synctest.Wait()
			calls := strings.Join(actuator.calls, ", ")
			actuator.calls = nil
			return calls
		}
		for _, c := range []struct {
			seconds   int
			decisions []Decision
			want      string
		}{
			{5, []Decision{decision("a", 2, 2), decision("b", 1, 1)}, ""},
			{5, []Decision{decision("a", 2, 3), decision("b", 1, 2)}, "a 2→3"}, // b waits for its end
			{20, []Decision{decision("a", 2, 3), decision("b", 1, 2)}, "b 1→2"},
			{30, []Decision{decision("a", 2, 3), decision("b", 2, 2)}, ""},
			{10, []Decision{decision("a", 2, 3), decision("b", 2, 2)}, "a 2→3"}, // it had no effect
			{60, []Decision{decision("a", 2, 2), decision(Default, 1, 2)}, ""},
			{5, []Decision{decision(Default, 1, 2)}, "default 1→2"},
		} {
			if got := drive(c.seconds, c.decisions...); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		}
		d.Wait()
		if len(outcomes) != 4 || outcomes[0].Output != "done" || outcomes[0].Took != 10*time.Second || outcomes[0].Desired != 3 {
			t.Errorf("%+v", outcomes)
		}
	})
}

// Groups that come and go, such as of analyzers that register themselves, leave nothing behind once
// their cooldown has ended.
func TestDriverForgetsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDriver(&slow{}, func(Outcome) {})
		var known int
		for n := range 10 {
			for range 30 {
				d.Drive(t.Context(), time.Now(), []Decision{decision("stays", 1, 1), decision(fmt.Sprint("release-", n), 1, 2)})
				time.Sleep(time.Second)
			}
			known = max(known, len(d.started))
		}
		if known > 3 {
			t.Errorf("%d groups are known, want at most those of the last minute", known)
		}
		d.Wait()
	})
}

// The end of the context ends what is carried out.
func TestDriverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var outcome Outcome
		d := NewDriver(&slow{takes: time.Hour}, func(o Outcome) { outcome = o })
		d.Drive(ctx, time.Now(), []Decision{decision("a", 1, 2)})
		cancel()
		d.Wait()
		if !errors.Is(outcome.Err, context.Canceled) {
			t.Errorf("%+v", outcome)
		}
	})
}
