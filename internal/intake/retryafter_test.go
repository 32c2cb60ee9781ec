package intake

import (
	"sync"
	"testing"
	"time"
)

func TestRetryAfterBounds(t *testing.T) {
	i := newIntake(t, new(fakeJournal), nil)
	for seconds, want := range map[float64]int{-5: 1, 0: 1, 0.2: 1, 1: 1, 1.001: 2, 9: 9, 59.5: 60, 1e9: 60} {
		i.deps.RetryAfter = func(Reason) time.Duration { return time.Duration(seconds * float64(time.Second)) }
		different := make(map[int]bool)
		for range 1000 {
			got := i.RetryAfter(Overloaded)
			if got < want || got > want+want/2 {
				t.Errorf("Retry-After for %v s is %d, want %d and up to half as much more", seconds, got, want)
			}
			different[got] = true
		}
		if len(different) != want/2+1 {
			t.Errorf("Retry-After for %v s is one of %v: emitters that are refused together return together", seconds, different)
		}
	}
}

func TestOtherWaitsAreNotForCapacity(t *testing.T) {
	i := newIntake(t, new(fakeJournal), nil)
	for _, reason := range []Reason{NoAnalyzer, Draining, RateLimited} {
		i.RetryAfter(reason)
	}
	if capacity, disk := i.MaxRetryAfters(); capacity+disk > 0 {
		t.Errorf("%v and %v", capacity, disk)
	}
	i.RetryAfter(Shed)
	if capacity, _ := i.MaxRetryAfters(); capacity == 0 {
		t.Error("a shed packet does not count as refused for lack of capacity")
	}
}

func TestMaxWait(t *testing.T) {
	var l maxWait
	for _, seconds := range []int{3, 7, 5} {
		l.raise(seconds)
	}
	if got := l.take(); got != 7*time.Second || l.take() != 0 {
		t.Errorf("the longest is %v", got)
	}
	var raising sync.WaitGroup
	for n := range 4 {
		raising.Go(func() {
			for seconds := range 1000 {
				l.raise(seconds + n)
			}
		})
	}
	raising.Wait()
	if got := l.take(); got != 1002*time.Second {
		t.Errorf("of those raised at once the longest is %v", got)
	}
}
