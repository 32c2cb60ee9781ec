package simulate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
)

// TestResult is what came of a test. It passed if there are no failures.
type TestResult struct {
	Failures []string
	Result   Result
}

// Run runs a test with a configuration.
func (t Test) Run(ctx context.Context, c Config) (TestResult, error) {
	var result TestResult
	s, err := New(c, Fair, t.trace.Seed)
	if err != nil {
		return result, err
	}
	windows := make([]window, len(t.expects))
	events := slices.Clone(t.events)
	for i, e := range t.expects {
		if e.shares == nil {
			continue
		}
		w := &windows[i]
		events = append(events, Event{e.from, func(s *Simulation) error { w.start = s.sample(); return nil }})
		if e.to > 0 {
			events = append(events, Event{e.to, func(s *Simulation) error { w.end = s.sample(); return nil }})
		}
	}
	sortEvents(events) // samples come after the changes of the same time
	if result.Result, err = s.Run(ctx, t.trace.arrivals(), events); err != nil {
		return result, err
	}
	for i, e := range t.expects {
		w := &windows[i]
		if e.to == 0 {
			w.end = s.sample()
		}
		result.Failures = append(result.Failures, e.failures(*w, result.Result)...)
	}
	return result, nil
}

// sample is the state of the routing at a time.
type sample struct {
	messages map[string]int64 // held or delivered, by analyzer
	total    int64
	bound    float64
}

func (s *Simulation) sample() sample {
	stats := s.dispatcher.Stats()
	taken := sample{messages: make(map[string]int64), bound: stats.MaxDeviationMessages}
	for _, m := range stats.Members {
		taken.messages[m.ID] = m.Held().Messages
		taken.total += m.Held().Messages
	}
	return taken
}

// window is the time of an expectation.
type window struct{ start, end sample }

// failures describes what is not as expected.
func (e expectation) failures(w window, r Result) (failures []string) {
	if e.maximum != nil {
		if value := e.maximum(r); value > e.limit {
			failures = append(failures, e.where.errorf("%g %s, expected are at most %g", value, e.unit, e.limit).Error())
		}
		return failures
	}
	for _, id := range slices.Sorted(maps.Keys(e.shares)) {
		if failure := e.shareFailure(id, w); failure != "" {
			failures = append(failures, failure)
		}
	}
	return failures
}

// shareFailure compares the share of an analyzer. Each deviation at the start and at the end
// of the time is within the bound then.
func (e expectation) shareFailure(id string, w window) string {
	const rounding = 1
	messages, total, want := w.end.messages[id]-w.start.messages[id], w.end.total-w.start.total, e.shares[id]
	if total == 0 {
		return e.where.errorf("no messages were routed from %v on", e.from).Error()
	}
	allowed, of := e.within.messages, ""
	switch {
	case e.within.part > 0:
		allowed, of = e.within.part*float64(total), fmt.Sprintf(" (%g %% of all)", 100*e.within.part)
	case e.within == tolerance{}:
		allowed, of = w.start.bound+w.end.bound, " (the bound at the start and at the end)"
	}
	off := math.Abs(float64(messages) - want*float64(total))
	if off <= allowed+rounding {
		return ""
	}
	to := "the end"
	if e.to > 0 {
		to = e.to.String()
	}
	return e.where.errorf("the share of %s from %v to %v is %.4f (%d of %d messages), expected is %g: that is off by %.1f messages, allowed are %.1f%s",
		id, e.from, to, ratio(messages, total), messages, total, want, off, allowed, of).Error()
}
