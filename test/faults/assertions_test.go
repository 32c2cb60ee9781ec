package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// assertions must hold in a step. Analyzers not named are not checked.
type assertions struct {
	// Unaffected names a load, or all, whose packets must all be accepted.
	Unaffected string
	// Refused are the codes, such as "503 overloaded", that refusals must have;
	// each must occur.
	Refused []string
	// Shares are the named analyzers' parts of their messages, each within
	// Within of all messages (default 0.05).
	Shares map[string]float64
	Within float64
	// HalfOpen is the maximum number of half-open transitions.
	HalfOpen *int `yaml:"half-open"`
	// Healthy is the number of healthy analyzers at the end.
	Healthy *int
	// Memory is the maximum memory of the distributor in MiB.
	Memory int

	// The following times are always measured, and checked with -judge.

	// P99 bounds 99 % of the response times of accepted packets, from their due
	// times.
	P99 time.Duration
	// P99Twice names an earlier step, whose P99 may be doubled.
	P99Twice string `yaml:"p99-twice"`
	// RefusedP99 bounds 99 % of the response times of refusals.
	RefusedP99 time.Duration `yaml:"refused-p99"`
	// Took bounds the duration of the step.
	Took time.Duration
	// FewerRefusals names an earlier burst, which had more refusals and was not
	// faster by more than a twentieth.
	FewerRefusals string `yaml:"fewer-refusals"`
}

// stepResult is the record of an executed step.
type stepResult struct {
	step
	from, to      time.Time // the asserted period
	took          time.Duration
	before, after gauges
	memory        int // MiB, peak so far
	healthy       int // analyzers, at the end
	sent          records
}

// violations returns the violated assertions on counts.
func (a assertions) violations(r stepResult) (all []string) {
	add := func(format string, arguments ...any) { all = append(all, fmt.Sprintf(format, arguments...)) }
	if failures := r.sent.of(a.Unaffected).failures(); a.Unaffected != "" && failures != "" {
		add("%s was affected: %s", a.Unaffected, failures)
	}
	if got := slices.Sorted(maps.Keys(r.sent.codes())); len(a.Refused) > 0 && !slices.Equal(got, slices.Sorted(slices.Values(a.Refused))) {
		add("packets should be refused with %q: %q", a.Refused, r.sent.refusals())
	}
	if got := r.shares(a.Shares); maxDeviation(got, a.Shares) > a.within() {
		add("the shares are %s", percents(got))
	}
	if a.Memory > 0 && r.memory > a.Memory {
		add("it had %d MiB of memory", r.memory)
	}
	return all
}

// breakerViolations returns the violated assertions on breakers, which open when an analyzer does
// not respond within SENDER_TIMEOUT_MS, as it may on a busy machine.
func (a assertions) breakerViolations(r stepResult) (all []string) {
	if got := r.halfOpenTransitions(); a.HalfOpen != nil && got > *a.HalfOpen {
		all = append(all, fmt.Sprintf("%d half-open transitions of breakers", got))
	}
	if a.Healthy != nil && r.healthy != *a.Healthy {
		all = append(all, fmt.Sprintf("%d analyzers are healthy", r.healthy))
	}
	return all
}

// latencyViolations returns the violated assertions on times. stepResults are
// the earlier steps.
func (a assertions) latencyViolations(r stepResult, stepResults map[string]stepResult) (all []string) {
	tooLong := func(what string, got, limit time.Duration) {
		if limit > 0 && got > limit {
			all = append(all, fmt.Sprintf("%s took %v, want at most %v", what, rounded(got), rounded(limit)))
		}
	}
	p99 := r.sent.with(accepted).p99()
	tooLong("99 % of responses", p99, a.P99)
	tooLong("99 % of responses", p99, 2*stepResults[a.P99Twice].sent.with(accepted).p99())
	tooLong("99 % of refusals", r.sent.with(refused).p99(), a.RefusedP99)
	tooLong("the step", r.took, a.Took)
	if other := stepResults[a.FewerRefusals]; a.FewerRefusals != "" {
		tooLong("the burst", r.took, other.took+other.took/20)
		if got, than := len(r.sent.with(refused)), len(other.sent.with(refused)); got >= than {
			all = append(all, fmt.Sprintf("%d refusals are not fewer than %d", got, than))
		}
	}
	return all
}

func (a assertions) within() float64 {
	if a.Within == 0 {
		return 0.05
	}
	return a.Within
}

// shares returns the shares of the named analyzers.
func (r stepResult) shares(of map[string]float64) map[string]float64 {
	return shares(slices.Sorted(maps.Keys(of)), r.before, r.after)
}

// halfOpenTransitions sums over all analyzers.
func (r stepResult) halfOpenTransitions() int { return r.increase(gauges.halfOpenTransitions) }

// increase returns the increase of a gauge over all analyzers.
func (r stepResult) increase(gauge func(gauges, string) float64) (sum int) {
	for _, name := range r.after.analyzers() {
		sum += int(gauge(r.after, name) - gauge(r.before, name))
	}
	return sum
}

// measured describes a named step in the result.
func (r stepResult) measured() string {
	var parts []string
	add := func(format string, arguments ...any) { parts = append(parts, fmt.Sprintf(format, arguments...)) }
	accepts, refusals := r.sent.with(accepted), r.sent.with(refused)
	if r.Burst != nil {
		add("%d refusals", len(refusals))
	} else if len(accepts) > 0 {
		add("99 %% of responses within %v", rounded(accepts.p99()))
	}
	if len(refusals) > 0 && r.Burst == nil {
		add("99 %% of refusals within %v", rounded(refusals.p99()))
	}
	if len(r.Assert.Shares) > 0 {
		add("shares %s", percents(r.shares(r.Assert.Shares)))
	}
	if r.Assert.HalfOpen != nil {
		add("%d half-open transitions, %d probes", r.halfOpenTransitions(), r.increase(gauges.probes))
	}
	if r.Assert.Memory > 0 {
		add("%d MiB of memory at most", r.memory)
	}
	if !r.Until.isEmpty() {
		add("took %v", r.took.Round(10*time.Millisecond))
	}
	return r.Name + ": " + strings.Join(parts, ", ")
}

// percents formats shares, by name.
func percents(shares map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		parts = append(parts, fmt.Sprintf("%.1f", 100*shares[name]))
	}
	return strings.Join(parts, "/") + " %"
}

// Each violated assertion is reported, and no other.
func TestAssertionsReportViolations(t *testing.T) {
	two, none := 2, 0
	good := stepResult{
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
	before := map[string]stepResult{
		"quick": {took: time.Second / 2, sent: records{{outcome: accepted, took: 10 * time.Millisecond}, {outcome: refused}}},
		"slow":  {took: time.Second, sent: records{{outcome: accepted, took: 15 * time.Millisecond}, {outcome: refused}, {outcome: refused}}},
	}
	for _, test := range []struct {
		assertions assertions
		want       int
	}{
		{assertions{}, 0},
		{assertions{Unaffected: "calm"}, 0}, {assertions{Unaffected: allLoads}, 1}, {assertions{Unaffected: "loud"}, 1},
		{assertions{Refused: []string{"503 overloaded"}}, 0}, {assertions{Refused: []string{"503 overloaded", "503 shed"}}, 1}, {assertions{Refused: []string{"503 shed"}}, 1},
		{assertions{Shares: map[string]float64{"a": 0.62, "b": 0.38}}, 0}, {assertions{Shares: map[string]float64{"a": 0.5, "b": 0.5}}, 1},
		{assertions{Shares: map[string]float64{"a": 0.62, "b": 0.38}, Within: 0.01}, 1},
		{assertions{HalfOpen: &two}, 0}, {assertions{HalfOpen: &none}, 1}, {assertions{Healthy: &two}, 0}, {assertions{Healthy: &none}, 1},
		{assertions{Memory: 50}, 0}, {assertions{Memory: 49}, 1},
		{assertions{P99: 30 * time.Millisecond}, 0}, {assertions{P99: 29 * time.Millisecond}, 1},
		{assertions{P99Twice: "slow"}, 0}, {assertions{P99Twice: "quick"}, 1},
		{assertions{RefusedP99: 20 * time.Millisecond}, 0}, {assertions{RefusedP99: time.Millisecond}, 1},
		{assertions{Took: time.Second}, 0}, {assertions{Took: time.Second / 2}, 1},
		{assertions{FewerRefusals: "slow"}, 0}, {assertions{FewerRefusals: "quick"}, 2},
	} {
		got := slices.Concat(test.assertions.violations(good), test.assertions.breakerViolations(good), test.assertions.latencyViolations(good, before))
		if len(got) != test.want {
			t.Errorf("%+v: %q, want %d", test.assertions, got, test.want)
		}
	}
}
