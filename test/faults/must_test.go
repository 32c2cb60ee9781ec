package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// must is what must hold in a step. Who is not named in it may do as he likes.
type must struct {
	// Calm is the load, or everyone, whose packets are all accepted.
	Calm string
	// Refused: some packets are refused, with these codes and no other, such
	// as "503 overloaded".
	Refused []string
	// Shares are what the analyzers named have of their messages together, each
	// within Within of all messages (0.05 if not told).
	Shares map[string]float64
	Within float64
	// Trials is how often, at most, packets are tried at analyzers that failed.
	Trials *int
	// Healthy analyzers there are in the end.
	Healthy *int
	// Memory is how many MiB the distributor has had at most.
	Memory int

	// What follows are times: they are always measured, and judged with -judge.

	// P99 is within what time emitters are answered with 2xx, from when they
	// should have sent.
	P99 time.Duration
	// P99Twice names a step before, whose 99 % may be doubled.
	P99Twice string `yaml:"p99-twice"`
	// RefusedP99 is within what time 99 % of refusals come.
	RefusedP99 time.Duration `yaml:"refused-p99"`
	// Took is how long the step may take.
	Took time.Duration
	// Spares names a burst before, which had more refusals and was not over
	// sooner by more than a twentieth.
	Spares string
}

// scene is a step that was played.
type scene struct {
	step
	from, to      time.Time // until it must hold
	took          time.Duration
	before, after gauges
	memory        int // MiB, at most so far
	healthy       int // analyzers, at its end
	sent          records
}

// complaints tells what of the counts is not as it must be.
func (m must) complaints(c scene) (all []string) {
	complain := func(format string, arguments ...any) { all = append(all, fmt.Sprintf(format, arguments...)) }
	if troubles := c.sent.of(m.Calm).troubles(); m.Calm != "" && troubles != "" {
		complain("%s was troubled: %s", m.Calm, troubles)
	}
	if got := slices.Sorted(maps.Keys(c.sent.codes())); len(m.Refused) > 0 && !slices.Equal(got, slices.Sorted(slices.Values(m.Refused))) {
		complain("packets should be refused with %q: %q", m.Refused, c.sent.refusals())
	}
	if got := c.shares(m.Shares); furthestOff(got, m.Shares) > m.within() {
		complain("the shares are %s", percents(got))
	}
	if got := c.trials(); m.Trials != nil && got > *m.Trials {
		complain("packets were tried %d times at analyzers that failed", got)
	}
	if m.Healthy != nil && c.healthy != *m.Healthy {
		complain("%d analyzers are healthy", c.healthy)
	}
	if m.Memory > 0 && c.memory > m.Memory {
		complain("it had %d MiB of memory", c.memory)
	}
	return all
}

// delays tells which times are not as they must be. Scenes are those before.
func (m must) delays(c scene, scenes map[string]scene) (all []string) {
	tooLong := func(what string, got, most time.Duration) {
		if most > 0 && got > most {
			all = append(all, fmt.Sprintf("%s took %v, at most %v was asked", what, rounded(got), rounded(most)))
		}
	}
	p99 := c.sent.with(accepted).p99()
	tooLong("99 % of answers", p99, m.P99)
	tooLong("99 % of answers", p99, 2*scenes[m.P99Twice].sent.with(accepted).p99())
	tooLong("99 % of refusals", c.sent.with(refused).p99(), m.RefusedP99)
	tooLong("the step", c.took, m.Took)
	if other := scenes[m.Spares]; m.Spares != "" {
		tooLong("the burst", c.took, other.took+other.took/20)
		if got, than := len(c.sent.with(refused)), len(other.sent.with(refused)); got >= than {
			all = append(all, fmt.Sprintf("%d refusals are not fewer than %d", got, than))
		}
	}
	return all
}

func (m must) within() float64 {
	if m.Within == 0 {
		return 0.05
	}
	return m.Within
}

// shares returns those of the analyzers named.
func (c scene) shares(of map[string]float64) map[string]float64 {
	return shares(slices.Sorted(maps.Keys(of)), c.before, c.after)
}

// trials counts for all analyzers.
func (c scene) trials() int { return c.grown(gauges.trials) }

// grown returns by how much a gauge of all analyzers has.
func (c scene) grown(gauge func(gauges, string) float64) (more int) {
	for _, name := range c.after.analyzers() {
		more += int(gauge(c.after, name) - gauge(c.before, name))
	}
	return more
}

// measured is what a named step says in the result.
func (c scene) measured() string {
	var parts []string
	say := func(format string, arguments ...any) { parts = append(parts, fmt.Sprintf(format, arguments...)) }
	answered, refusals := c.sent.with(accepted), c.sent.with(refused)
	if c.Burst != nil {
		say("%d refusals", len(refusals))
	} else if len(answered) > 0 {
		say("99 %% of answers within %v", rounded(answered.p99()))
	}
	if len(refusals) > 0 && c.Burst == nil {
		say("99 %% of refusals within %v", rounded(refusals.p99()))
	}
	if len(c.Must.Shares) > 0 {
		say("shares %s", percents(c.shares(c.Must.Shares)))
	}
	if c.Must.Trials != nil {
		say("%d trials, %d probes", c.trials(), c.grown(gauges.probes))
	}
	if c.Must.Memory > 0 {
		say("%d MiB of memory at most", c.memory)
	}
	if !c.Until.isNone() {
		say("took %v", c.took.Round(10*time.Millisecond))
	}
	return c.Name + ": " + strings.Join(parts, ", ")
}

// percents tells shares, by name.
func percents(shares map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		parts = append(parts, fmt.Sprintf("%.1f", 100*shares[name]))
	}
	return strings.Join(parts, "/") + " %"
}

// Each thing that must be is complained about when it is not, and only then.
func TestMustComplains(t *testing.T) {
	two, none := 2, 0
	good := scene{
		healthy: 2, memory: 50, took: time.Second,
		before: gauges{value: map[string]float64{}},
		after: gauges{value: map[string]float64{
			`distributor_delivered_messages_total{analyzer="a"}`:                 600,
			`distributor_delivered_messages_total{analyzer="b"}`:                 400,
			`distributor_breaker_transitions_total{analyzer="a",to="half_open"}`: 2,
			`distributor_probes_total{analyzer="a",result="failed"}`:             7,
			`distributor_analyzer_healthy{analyzer="a"}`:                         1,
			`distributor_analyzer_healthy{analyzer="b"}`:                         1,
		}},
		sent: records{
			{load: "calm", outcome: accepted, took: 30 * time.Millisecond},
			{load: "loud", outcome: refused, code: "503 overloaded", took: 20 * time.Millisecond},
		},
	}
	before := map[string]scene{
		"quick": {took: time.Second / 2, sent: records{{outcome: accepted, took: 10 * time.Millisecond}, {outcome: refused}}},
		"slow":  {took: time.Second, sent: records{{outcome: accepted, took: 15 * time.Millisecond}, {outcome: refused}, {outcome: refused}}},
	}
	for _, test := range []struct {
		must must
		want int
	}{
		{must{}, 0},
		{must{Calm: "calm"}, 0}, {must{Calm: everyone}, 1}, {must{Calm: "loud"}, 1},
		{must{Refused: []string{"503 overloaded"}}, 0}, {must{Refused: []string{"503 overloaded", "503 shed"}}, 1}, {must{Refused: []string{"503 shed"}}, 1},
		{must{Shares: map[string]float64{"a": 0.62, "b": 0.38}}, 0}, {must{Shares: map[string]float64{"a": 0.5, "b": 0.5}}, 1},
		{must{Shares: map[string]float64{"a": 0.62, "b": 0.38}, Within: 0.01}, 1},
		{must{Trials: &two}, 0}, {must{Trials: &none}, 1}, {must{Healthy: &two}, 0}, {must{Healthy: &none}, 1},
		{must{Memory: 50}, 0}, {must{Memory: 49}, 1},
		{must{P99: 30 * time.Millisecond}, 0}, {must{P99: 29 * time.Millisecond}, 1},
		{must{P99Twice: "slow"}, 0}, {must{P99Twice: "quick"}, 1},
		{must{RefusedP99: 20 * time.Millisecond}, 0}, {must{RefusedP99: time.Millisecond}, 1},
		{must{Took: time.Second}, 0}, {must{Took: time.Second / 2}, 1},
		{must{Spares: "slow"}, 0}, {must{Spares: "quick"}, 2},
	} {
		if got := append(test.must.complaints(good), test.must.delays(good, before)...); len(got) != test.want {
			t.Errorf("%+v: %q, want %d", test.must, got, test.want)
		}
	}
}
