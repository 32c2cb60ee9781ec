package faults

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// 99 % of the timers in a step may be this late. Later ones show that other programs take the
// processor, so that packets and analyzers are late as well.
const (
	maxLateness        = 5 * time.Millisecond  // of a step whose times are judged
	maxBreakerLateness = 30 * time.Millisecond // and whose breakers are: a tenth of SENDER_TIMEOUT_MS
)

// timers are timers that have fired, and how late. It may be used concurrently.
type timers struct {
	mu    sync.Mutex
	fired records // guarded by mu
}

// watchTimers sets timers until the row ends.
func (s *system) watchTimers() {
	s.repeat(10*time.Millisecond, func(due time.Time) {
		s.timers.mu.Lock()
		defer s.timers.mu.Unlock()
		s.timers.fired = append(s.timers.fired, record{due: due, took: time.Since(due)})
	})
}

// lateness returns how late 99 % of the timers between two moments were, at most.
func (t *timers) lateness(from, to time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fired.between(from, to).p99()
}

// repeat calls a function at times until the row ends, with the time at which it was due.
func (s *system) repeat(interval time.Duration, do func(due time.Time)) {
	var ended sync.WaitGroup
	s.t.Cleanup(ended.Wait)
	ended.Go(func() {
		for {
			due := time.Now().Add(interval)
			s.wait(interval)
			if s.t.Context().Err() != nil {
				return
			}
			do(due)
		}
	})
}

func TestBusyMachine(t *testing.T) {
	now := time.Now()
	r := &scenarioRunner{system: &system{t: t}}
	for n := range 100 {
		r.timers.fired = append(r.timers.fired, record{due: now, took: time.Duration(n) * time.Millisecond / 10})
	}
	result := stepResult{step: step{Name: "slow"}, from: now, to: now.Add(time.Second)}
	if r.busy(result, 10*time.Millisecond, "late") || !r.busy(result, 9*time.Millisecond, "late") {
		t.Error("timers that were 9.9ms late are not within 10ms, or are within 9ms")
	}
	if want := []string{"not judged, since timers were up to 9.9ms late: slow: late"}; !slices.Equal(r.reports, want) {
		t.Errorf("%q, want %q", r.reports, want)
	}
	if result.to = now; r.busy(result, 0, "late") {
		t.Error("a timer of another step counts")
	}
}
