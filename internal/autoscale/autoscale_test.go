package autoscale

import (
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is a time in seconds.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestDecide(t *testing.T) {
	healthy := Inputs{Group: "g", Current: 3, Healthy: 3, Pace: 100}
	with := func(arriving, backlog float64) Inputs {
		in := healthy
		in.Arriving, in.Backlog = arriving, backlog
		return in
	}
	unknown, paused, failing, none := with(9999, 9999), with(9999, 9999), with(9999, 9999), with(9999, 9999)
	unknown.Pace, paused.Paused, failing.Healthy = 0, true, 0
	none.Pace, none.Current, none.Healthy = 0, 0, 0
	for _, c := range []struct {
		in              Inputs
		needed, desired int
		reason          string
	}{
		{with(0, 0), 0, 1, "AUTOSCALE_MIN is 1"},
		{with(240, 0), 3, 3, "240 messages/s arrive and 0 wait"},
		{with(241, 0), 4, 4, "needs 4"},
		{with(240, 60), 4, 4, "60 wait, to be delivered within 1m0s"},
		{with(0, 4800), 1, 1, "needs 1, at 80 % of the pace of one, which is 100 messages/s"},
		{with(0, 4801), 2, 2, "needs 2"},
		{with(5000, 0), 63, 10, "AUTOSCALE_MAX is 10"},
		{with(math.MaxFloat64, math.MaxFloat64), maxNeeded, 10, "AUTOSCALE_MAX is 10"},
		{unknown, 3, 3, "the pace of an analyzer is not known"},
		{paused, 3, 3, "dispatch is paused"},
		{failing, 3, 3, "no analyzer of the group is healthy"},
		{none, 0, 1, "the pace of an analyzer is not known"},
	} {
		got := new(Scaler).Decide(start, DefaultConfig(), c.in)
		if got.Needed != c.needed || got.Desired != c.desired || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%+v: %d needed, %d desired, %s; want %d, %d, %s", c.in, got.Needed, got.Desired, got.Reason, c.needed, c.desired, c.reason)
		}
	}
}

// More are desired at once, fewer after the quiet time.
func TestQuietTime(t *testing.T) {
	var s Scaler
	desired := func(seconds int, arriving float64) int {
		return s.Decide(at(seconds), DefaultConfig(), Inputs{Current: 1, Healthy: 1, Pace: 100, Arriving: arriving}).Desired
	}
	for _, step := range []struct {
		seconds  int
		arriving float64
		want     int
	}{
		{0, 80, 1}, {1, 800, 10}, {2, 400, 10}, {100, 160, 10}, {300, 160, 10}, {301, 160, 10}, {302, 80, 5}, {303, 80, 2}, {304, 640, 8}, {603, 80, 8}, {605, 80, 1},
	} {
		if got := desired(step.seconds, step.arriving); got != step.want {
			t.Errorf("after %d s, with %v messages/s: %d desired, want %d", step.seconds, step.arriving, got, step.want)
		}
	}
}

// The reason has the quiet time as it is set.
func TestQuietTimeInReason(t *testing.T) {
	c := DefaultConfig()
	c.QuietTime = 4 * time.Second
	var s Scaler
	s.Decide(at(0), c, Inputs{Current: 1, Healthy: 1, Pace: 100, Arriving: 800})
	got := s.Decide(at(1), c, Inputs{Current: 1, Healthy: 1, Pace: 100, Arriving: 80})
	if want := "10 were needed within the last 4 s"; !strings.HasSuffix(got.Reason, want) {
		t.Errorf("%s; want ... %s", got.Reason, want)
	}
}

// The last pace counts while none is known, such as after the analyzers have been replaced.
func TestPaceIsRemembered(t *testing.T) {
	var s Scaler
	in := Inputs{Current: 2, Healthy: 2, Arriving: 800}
	in.Pace = 200
	s.Decide(at(0), DefaultConfig(), in)
	in.Pace = 0
	if got := s.Decide(at(1), DefaultConfig(), in); got.Desired != 5 || got.Pace != 200 {
		t.Errorf("%+v", got)
	}
}

// What is desired is within the bounds, never below what is needed now unless a bound says so,
// and never above the highest need of the quiet time.
func TestDecisionsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := DefaultConfig()
		c.Min = rapid.IntRange(1, 20).Draw(t, "min")
		c.Max = rapid.IntRange(c.Min, 40).Draw(t, "max")
		c.Utilization = rapid.Float64Range(0.01, 1).Draw(t, "utilization")
		c.QuietTime = time.Duration(rapid.IntRange(0, 20).Draw(t, "quiet")) * time.Second
		var s Scaler
		var needs []timedNeed
		now := start
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			in := Inputs{
				Current: rapid.IntRange(0, 40).Draw(t, "current"), Healthy: rapid.IntRange(0, 1).Draw(t, "healthy"), Paused: rapid.Bool().Draw(t, "paused"),
				Arriving: rapid.Float64Range(0, 1e5).Draw(t, "arriving"), Backlog: rapid.Float64Range(0, 1e6).Draw(t, "backlog"), Pace: rapid.Float64Range(0, 1e4).Draw(t, "pace"),
			}
			d := s.Decide(now, c, in)
			needs = append(needs, timedNeed{now, d.Needed})
			highest := 0
			for _, n := range needs {
				if !n.at.Before(now.Add(-c.QuietTime)) {
					highest = max(highest, n.needed)
				}
			}
			if want := min(max(highest, c.Min), c.Max); d.Desired != want {
				t.Fatalf("%d desired, want %d: %+v", d.Desired, want, needs)
			}
			if d.Pace > 0 && !in.Paused && (in.Current == 0 || in.Healthy > 0) && d.Needed < maxNeeded {
				able := float64(d.Needed) * d.Pace * c.Utilization
				wanted := in.Arriving + in.Backlog/c.DrainTime.Seconds()
				if slack := 2 * rounding * d.Pace; able+slack < wanted*(1-1e-6) || d.Needed > 0 && able-d.Pace*c.Utilization > wanted*(1+1e-6) {
					t.Fatalf("%d are needed: %+v", d.Needed, d)
				}
			}
			if len(s.needs.needs) > maxNeeded {
				t.Fatalf("%d needs are kept", len(s.needs.needs))
			}
		}
	})
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		groups int
		want   string
	}{
		{func(c *Config) {}, 3, ""},
		{func(c *Config) { c.Min = 11 }, 1, "AUTOSCALE_MAX is 10: it must be at least AUTOSCALE_MIN (11)"},
		{func(c *Config) { c.Mode = Command }, 1, "AUTOSCALE_COMMAND is \"\": it must be a program and its arguments"},
		{func(c *Config) { c.Mode, c.Command = Command, "scale {desired}" }, 1, ""},
		{func(c *Config) { c.Command = "scale" }, 1, "with {desired}"},
		{func(c *Config) { c.Command = "sh -c 'scale {desired}'" }, 1, "without quotes"},
		{func(c *Config) { c.Command = "scale-{desired}" }, 1, "whose program has no {…}"},
		{func(c *Config) { c.Command = "scale {desired}" }, 2, "with {group}, as ANALYZERS has 2 groups"},
		{func(c *Config) { c.Command = "scale {group} {desired}" }, 2, ""},
	} {
		config := DefaultConfig()
		c.change(&config)
		if err := config.Validate(c.groups); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", config, err, c.want)
		}
	}
}
