package retrybudget

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/clocktest"
)

var start = time.Unix(1_700_000_000, 0)

// Whenever retries are granted, those within the window are at most Ratio of the
// first sends, or MinRetries.
func TestRatio(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Budget
		type event struct {
			at             time.Time
			first, retries int
		}
		var history []event
		now := start
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			first := rapid.IntRange(0, 5000).Draw(t, "first")
			b.RecordFirst(first, now)
			requested := rapid.IntRange(0, 3000).Draw(t, "requested")
			granted := b.Take(requested, now)
			if granted < 0 || granted > requested {
				t.Fatalf("granted %d of %d requested", granted, requested)
			}
			history = append(history, event{now, first, granted})
			var sumFirst, sumRetries int
			for _, e := range history {
				if now.Sub(e.at) < Window {
					sumRetries += e.retries
				}
				if now.Sub(e.at) <= Window+Window/buckets {
					sumFirst += e.first
				}
			}
			if granted == 0 {
				continue
			}
			if limit := max(MinRetries, int(Ratio*float64(sumFirst))); sumRetries > limit {
				t.Fatalf("%d retries in %v with %d first sends", sumRetries, Window, sumFirst)
			}
		}
	})
}

func TestBudgetRefillsAfterTheWindow(t *testing.T) {
	var b Budget
	if got := b.Take(MinRetries+1, start); got != MinRetries {
		t.Fatalf("%d granted at first, want %d", got, MinRetries)
	}
	if got := b.Take(1, start.Add(Window/2)); got != 0 {
		t.Errorf("%d granted when the budget is used up", got)
	}
	if got := b.Take(MinRetries, start.Add(Window+2*Window/buckets)); got != MinRetries {
		t.Errorf("%d granted after the window, want %d", got, MinRetries)
	}
}

func TestAllOrNothing(t *testing.T) {
	var b Budget
	if b.TakeAll(MinRetries+1, start) {
		t.Error("more was granted than remains")
	}
	if !b.TakeAll(MinRetries, start) {
		t.Error("a request that was not granted was charged")
	}
	if b.TakeAll(1, start) {
		t.Error("more was granted than remains")
	}
}

func TestClockSetBack(t *testing.T) {
	var b Budget
	now := time.Now()
	b.Take(MinRetries, now)
	later := clocktest.SetBack(t, now.Add(Window+2*Window/buckets), time.Hour)
	if got := b.Take(MinRetries, later); got != MinRetries {
		t.Errorf("%d granted after the window, want %d", got, MinRetries)
	}
}
