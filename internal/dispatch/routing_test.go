package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// started is a world that routes in a bubble with a clock of its own.
func started(t *testing.T, weights ...float64) *world {
	t.Helper()
	w := newWorld(t, weights...)
	w.Start(t.Context())
	t.Cleanup(w.Stop)
	synctest.Wait()
	return w
}

// fill takes all room away.
func (a *analyzer) fill(brief bool) {
	a.set(func(a *analyzer) { a.room, a.brief, a.resting = 0, brief, false })
}

func (a *analyzer) free(room int) {
	a.set(func(a *analyzer) { a.room, a.brief, a.resting = room, true, true })
}

// Packets that cannot be routed wait without taking processor time.
func TestWaitingIsIdle(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"nothing to do":         func(*world) {},
		"all analyzers are out": func(w *world) { w.analyzers[0].fill(false); w.analyzers[1].fill(false) },
		"all analyzers are full": func(w *world) {
			w.analyzers[0].fill(true)
			w.analyzers[1].fill(true)
		},
		"one is out and one is full": func(w *world) {
			w.analyzers[0].fill(false)
			w.analyzers[1].fill(true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := started(t, 1, 1)
				prepare(w)
				if name != "nothing to do" {
					w.addMany(t, 1000)
				}
				synctest.Wait()
				before := w.analyzers[0].roomAsked()
				const seconds = 60
				time.Sleep(seconds * time.Second)
				looks := w.analyzers[0].roomAsked() - before
				if most := 3 * seconds * int(time.Second/upstream.TickInterval); looks > most {
					t.Errorf("it looked %d times in %d s, want at most %d", looks, seconds, most)
				}
				if got := w.Books().Analyzers[0].Routed.Packets; got != 0 {
					t.Errorf("%d packets are bound", got)
				}
			})
		})
	}
}

// Whoever waits for room gets it when it is told, not when the clock says so.
// What finds no room with analyzers stays in the journal, which refuses when it
// is full and shares its room among emitters.
func TestOnlyWhatFindsRoomIsClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.analyzers[0].fill(true)
		w.analyzers[1].fill(true)
		w.addMany(t, 500)
		synctest.Wait()
		if got := w.journal.Stats().Queued.Packets; got != 499 {
			t.Errorf("%d packets are left in the journal, want all but the one that waits for room", got)
		}
		for _, a := range w.analyzers {
			a.free(5)
		}
		w.Changed()
		synctest.Wait()
		if got := w.journal.Stats().Queued.Packets; got != 490 {
			t.Errorf("%d packets are left in the journal when 10 found room, want 490", got)
		}
	})
}

func TestRoomIsUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.analyzers[0].fill(true)
		w.analyzers[1].fill(true)
		w.addMany(t, 500)
		synctest.Wait()
		now := time.Now()
		for routed := int64(0); routed < 500; {
			for _, a := range w.analyzers {
				a.free(5)
			}
			w.Changed()
			synctest.Wait()
			var got int64
			for _, a := range w.Books().Analyzers {
				got += a.Routed.Packets
			}
			if got <= routed {
				t.Fatal("the room is not used")
			}
			routed = got
		}
		if took := time.Since(now); took > 0 {
			t.Errorf("routing waited %v for the clock", took)
		}
	})
}

// While there is nobody to send to, analyzers are asked again soon; not while
// there is.
func TestAllAreHastenedWhileNoneIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		hastened := func() (calls int) {
			for _, a := range w.analyzers {
				a.set(func(a *analyzer) { calls += a.hastened; a.hastened = 0 })
			}
			return calls
		}
		w.analyzers[0].fill(false)
		time.Sleep(time.Second)
		if got := hastened(); got > 0 {
			t.Errorf("with one analyzer left, %d calls", got)
		}
		w.analyzers[1].fill(false)
		time.Sleep(time.Second)
		if got := hastened(); got < 18 || got > 22 {
			t.Errorf("with none, %d calls in a second, want about 10 for each", got)
		}
	})
}

// Packets that come back are routed at once, too.
func TestReturnedPacketsAreRoutedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		now := time.Now()
		w.addMany(t, 100)
		synctest.Wait()
		w.analyzers[0].fill(false)
		mine := w.analyzers[0].take(100)
		w.Returned(0, mine)
		synctest.Wait()
		if got := w.analyzers[1].holds(); got != 100 {
			t.Errorf("the other analyzer holds %d packets, want 100", got)
		}
		if took := time.Since(now); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// A packet goes back to the analyzer that failed to take it only if there is
// no other.
func TestFailedAnalyzerIsAvoided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1000, 1)
		for range 20 { // few enough for the budget
			w.add(t, 1)
			synctest.Wait()
			for _, a := range w.analyzers {
				for _, p := range a.take(plenty) {
					w.Returned(a.position, []*packet.Packet{p})
					synctest.Wait()
					if a.holds() > 0 {
						t.Fatalf("a packet went back to %s", a.id)
					}
				}
			}
		}
		w.analyzers[1].fill(false)
		w.add(t, 1)
		w.Returned(0, w.analyzers[0].take(plenty))
		w.Returned(1, w.analyzers[1].take(plenty))
		synctest.Wait()
		if w.analyzers[0].holds() != 21 {
			t.Errorf("the only analyzer holds %d packets, want 21", w.analyzers[0].holds())
		}
	})
}

// What is sent again is bounded by what is fresh, until the end.
func TestBudgetBoundsWhatIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		const packets = retrybudget.MinRetries + 500
		for range packets {
			w.add(t, 1)
		}
		synctest.Wait()
		w.tryAllInVain()
		synctest.Wait()
		if got := w.held(); got != retrybudget.MinRetries {
			t.Errorf("%d packets were sent again at once, want %d", got, retrybudget.MinRetries)
		}
		time.Sleep(retrybudget.Window + time.Second)
		synctest.Wait()
		if got := w.held(); got != packets {
			t.Errorf("after the window %d of %d packets were sent again", got, packets)
		}
	})
}

// What only waited for an analyzer is not sent again when it goes elsewhere.
func TestWhatOnlyWaitedIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		const packets = 3 * retrybudget.MinRetries
		for range packets {
			w.add(t, 1)
		}
		synctest.Wait()
		for range 2 {
			for _, a := range w.analyzers {
				w.Returned(a.position, a.take(plenty))
			}
			synctest.Wait()
			if got := w.held(); got != packets {
				t.Errorf("%d of %d packets went elsewhere", got, packets)
			}
		}
	})
}

// What was tried and paid for is free until it is tried again.
func TestEachTryIsPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		for range retrybudget.MinRetries {
			w.add(t, 1)
		}
		synctest.Wait()
		w.tryAllInVain()
		synctest.Wait() // all of the budget is spent
		for _, a := range w.analyzers {
			w.Returned(a.position, a.take(plenty))
		}
		synctest.Wait()
		if got := w.held(); got != retrybudget.MinRetries {
			t.Errorf("%d of %d packets went elsewhere", got, retrybudget.MinRetries)
		}
	})
}

func TestAtTheEndAllIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		const packets = 2 * retrybudget.MinRetries
		for range packets {
			w.add(t, 1)
		}
		synctest.Wait()
		w.Drain()
		w.tryAllInVain()
		synctest.Wait()
		if got := w.held(); got != packets {
			t.Errorf("%d of %d packets were sent again", got, packets)
		}
	})
}

// An analyzer that gives packets back is owed them; one that was away is not.
func TestReturnedPacketsAreRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		for range 100 {
			w.add(t, 1)
		}
		synctest.Wait()
		w.Returned(0, w.analyzers[0].take(plenty)) // all go to the other
		synctest.Wait()
		for range 100 {
			w.add(t, 1)
		}
		synctest.Wait()
		if a, b := w.analyzers[0].holds(), w.analyzers[1].holds(); a != 100 || b != 100 {
			t.Errorf("the analyzers hold %d and %d packets, want 100 each: who gave back was owed", a, b)
		}
	})
}

// It comes back when half of its queue is free, with no claim to what it
// missed.
func TestRestedAnalyzerRejoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		slow := w.analyzers[0]
		slow.fill(true)
		w.addMany(t, 1000)
		time.Sleep(time.Second)
		slow.set(func(a *analyzer) { a.room = 100 }) // some room, but it does not rest
		w.addMany(t, 100)
		time.Sleep(time.Second)
		if got := slow.holds(); got != 0 {
			t.Errorf("%d packets went to it before it rested", got)
		}
		slow.free(plenty)
		time.Sleep(time.Second)
		before := w.analyzers[1].holds()
		for range 100 {
			w.add(t, 10)
		}
		time.Sleep(time.Second)
		if mine, others := slow.holds(), w.analyzers[1].holds()-before; mine != 50 || others != 50 {
			t.Errorf("the packets were split %d to %d", mine, others)
		}
	})
}

// An analyzer that returns with a small weight gets that little from its first
// packet on, not only after the next tick.
func TestReturnIsSlowFromTheStart(t *testing.T) {
	now := time.Now()
	w := newWorld(t, 1, 1)
	w.analyzers[0].fill(false)
	w.tick(now)
	w.analyzers[0].free(plenty)
	w.analyzers[0].set(func(a *analyzer) { a.weight = 0.1 })
	for range 110 {
		w.add(t, 1)
	}
	w.round(now)
	if got := w.analyzers[0].holds(); got != 10 {
		t.Errorf("it got %d of 110 packets, want 10", got)
	}
}

func TestSlowStartChangesTheShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.analyzers[0].set(func(a *analyzer) { a.weight = 0.25 })
		time.Sleep(2 * upstream.TickInterval)
		got := w.Books().Analyzers
		if got[0].Effective != 0.2 && (got[0].Effective < 0.1999 || got[0].Effective > 0.2001) || got[0].Target != 0.5 {
			t.Errorf("its page is %+v", got[0])
		}
	})
}

// What was not routed stays on the journal's books.
func TestStopKeepsWhatIsNotRouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		w.analyzers[0].fill(true)
		w.addMany(t, 1000)
		synctest.Wait()
		w.Stop()
		stats := w.journal.Stats()
		if stats.Queued.Packets+stats.Claimed.Packets != 1000 || stats.Acknowledged.Packets != 0 {
			t.Errorf("the journal's books are %+v", stats)
		}
		if got := w.Books().Waiting; got != stats.Claimed {
			t.Errorf("waiting %v of %v", got, stats.Claimed)
		}
	})
}
