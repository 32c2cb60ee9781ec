package budget

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/clocktest"
)

var start = time.Unix(1_700_000_000, 0)

// Whenever something may be sent again, what was within the window, together
// with it, is at most the share of what was fresh, or the least.
func TestShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Budget
		type event struct {
			at           time.Time
			fresh, again int
		}
		var history []event
		now := start
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			fresh := rapid.IntRange(0, 5000).Draw(t, "fresh")
			b.Fresh(fresh, now)
			asked := rapid.IntRange(0, 3000).Draw(t, "asked")
			granted := b.Spend(asked, now)
			if granted < 0 || granted > asked {
				t.Fatalf("%d granted of %d asked", granted, asked)
			}
			history = append(history, event{now, fresh, granted})
			var sumFresh, sumAgain int
			for _, e := range history {
				if now.Sub(e.at) < Window {
					sumAgain += e.again
				}
				if now.Sub(e.at) <= Window+Window/buckets {
					sumFresh += e.fresh
				}
			}
			if granted == 0 {
				continue
			}
			if limit := max(Least, int(Share*float64(sumFresh))); sumAgain > limit {
				t.Fatalf("%d packets sent again in %v, with %d fresh", sumAgain, Window, sumFresh)
			}
		}
	})
}

func TestBudgetComesBack(t *testing.T) {
	var b Budget
	if got := b.Spend(Least+1, start); got != Least {
		t.Fatalf("%d granted at first, want %d", got, Least)
	}
	if got := b.Spend(1, start.Add(Window/2)); got != 0 {
		t.Errorf("%d granted when all is spent", got)
	}
	if got := b.Spend(Least, start.Add(Window+2*Window/buckets)); got != Least {
		t.Errorf("%d granted after the window, want %d", got, Least)
	}
}

func TestAllOrNothing(t *testing.T) {
	var b Budget
	if b.SpendAll(Least+1, start) {
		t.Error("more was granted than is left")
	}
	if !b.SpendAll(Least, start) {
		t.Error("what was refused was spent all the same")
	}
	if b.SpendAll(1, start) {
		t.Error("more was granted than is left")
	}
}

func TestClockSetBack(t *testing.T) {
	var b Budget
	now := time.Now()
	b.Spend(Least, now)
	later := clocktest.SetBack(t, now.Add(Window+2*Window/buckets), time.Hour)
	if got := b.Spend(Least, later); got != Least {
		t.Errorf("%d granted after the window, want %d", got, Least)
	}
}
