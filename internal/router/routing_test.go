package router

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// started returns a started harness, in a synctest bubble.
func started(t *testing.T, weights ...float64) *harness {
	t.Helper()
	h := newHarness(t, weights...)
	h.Start(t.Context())
	t.Cleanup(h.Stop)
	synctest.Wait()
	return h
}

// setFull sets the capacity to 0.
func (a *analyzer) setFull(transient bool) {
	a.set(func(a *analyzer) { a.capacity, a.transient, a.belowLowWatermark = 0, transient, false })
}

func (a *analyzer) setCapacity(capacity int) {
	a.set(func(a *analyzer) { a.capacity, a.transient, a.belowLowWatermark = capacity, true, true })
}

// Waiting does not poll.
func TestWaitingIsIdle(t *testing.T) {
	for name, prepare := range map[string]func(*harness){
		"nothing to do":                 func(*harness) {},
		"all analyzers are unavailable": func(h *harness) { h.analyzers[0].setFull(false); h.analyzers[1].setFull(false) },
		"all analyzers are full": func(h *harness) {
			h.analyzers[0].setFull(true)
			h.analyzers[1].setFull(true)
		},
		"one is unavailable and one is full": func(h *harness) {
			h.analyzers[0].setFull(false)
			h.analyzers[1].setFull(true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := started(t, 1, 1)
				prepare(h)
				if name != "nothing to do" {
					h.addMany(t, 1000)
				}
				synctest.Wait()
				before := h.analyzers[0].capacityCallCount()
				const seconds = 60
				time.Sleep(seconds * time.Second)
				calls := h.analyzers[0].capacityCallCount() - before
				if limit := 3 * seconds * int(time.Second/upstream.TickInterval); calls > limit {
					t.Errorf("%d calls of Capacity in %d s, want at most %d", calls, seconds, limit)
				}
				if got := h.Stats().Members[0].Routed.Packets; got != 0 {
					t.Errorf("%d packets are bound", got)
				}
			})
		})
	}
}

// Packets without capacity stay in the journal, which rejects new ones when it is
// full and has emitter quotas.
func TestClaimsAreLimitedByCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		h.analyzers[0].setFull(true)
		h.analyzers[1].setFull(true)
		h.addMany(t, 500)
		synctest.Wait()
		if got := h.journal.Stats().Queued.Packets; got != 499 {
			t.Errorf("%d packets are left in the journal, want all but the pending one", got)
		}
		for _, a := range h.analyzers {
			a.setCapacity(5)
		}
		h.CapacityChanged()
		synctest.Wait()
		if got := h.journal.Stats().Queued.Packets; got != 490 {
			t.Errorf("%d packets are left in the journal after a capacity of 10, want 490", got)
		}
	})
}

// CapacityChanged resumes routing without waiting for a tick.
func TestCapacityIsUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		h.analyzers[0].setFull(true)
		h.analyzers[1].setFull(true)
		h.addMany(t, 500)
		synctest.Wait()
		now := time.Now()
		for routed := int64(0); routed < 500; {
			for _, a := range h.analyzers {
				a.setCapacity(5)
			}
			h.CapacityChanged()
			synctest.Wait()
			var got int64
			for _, a := range h.Stats().Members {
				got += a.Routed.Packets
			}
			if got <= routed {
				t.Fatal("the capacity is not used")
			}
			routed = got
		}
		if took := time.Since(now); took > 0 {
			t.Errorf("routing waited %v for a tick", took)
		}
	})
}

// Probes are expedited only while no analyzer is active.
func TestProbesAreExpeditedWithoutActiveMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		probeSoonCalls := func() (calls int) {
			for _, a := range h.analyzers {
				a.set(func(a *analyzer) { calls += a.probeSoonCalls; a.probeSoonCalls = 0 })
			}
			return calls
		}
		h.analyzers[0].setFull(false)
		time.Sleep(time.Second)
		if got := probeSoonCalls(); got > 0 {
			t.Errorf("with an active analyzer, %d calls", got)
		}
		h.analyzers[1].setFull(false)
		time.Sleep(time.Second)
		if got := probeSoonCalls(); got < 18 || got > 22 {
			t.Errorf("with none, %d calls in a second, want about 10 per analyzer", got)
		}
	})
}

// Nacked packets are routed at once.
func TestNackedPacketsAreRoutedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		now := time.Now()
		h.addMany(t, 100)
		synctest.Wait()
		h.analyzers[0].setFull(false)
		taken := h.analyzers[0].take(100)
		h.Nacked("a0", taken)
		synctest.Wait()
		if got := h.analyzers[1].holds(); got != 100 {
			t.Errorf("the other analyzer holds %d packets, want 100", got)
		}
		if took := time.Since(now); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// A packet is routed again to the analyzer that nacked it only if no other is
// active.
func TestFailedAnalyzerIsAvoided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1000, 1)
		for range 20 { // within the retry budget
			h.add(t, 1)
			synctest.Wait()
			for _, a := range h.analyzers {
				for _, p := range a.take(unlimited) {
					h.Nacked(a.id, []upstream.Delivery{p})
					synctest.Wait()
					if a.holds() > 0 {
						t.Fatalf("a packet was routed to %s again", a.id)
					}
				}
			}
		}
		h.analyzers[1].setFull(false)
		h.add(t, 1)
		h.Nacked("a0", h.analyzers[0].take(unlimited))
		h.Nacked("a1", h.analyzers[1].take(unlimited))
		synctest.Wait()
		if h.analyzers[0].holds() != 21 {
			t.Errorf("the only analyzer holds %d packets, want 21", h.analyzers[0].holds())
		}
	})
}

// The retry budget limits retries.
func TestRetryBudgetLimitsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		const packets = retrybudget.MinRetries + 500
		for range packets {
			h.add(t, 1)
		}
		synctest.Wait()
		h.nackAllAttempted()
		synctest.Wait()
		if got := h.held(); got != retrybudget.MinRetries {
			t.Errorf("%d packets were retried at once, want %d", got, retrybudget.MinRetries)
		}
		time.Sleep(retrybudget.Window + time.Second)
		synctest.Wait()
		if got := h.held(); got != packets {
			t.Errorf("after the window %d of %d packets were retried", got, packets)
		}
	})
}

// Rerouting unattempted packets does not use the retry budget.
func TestUnattemptedPacketsDoNotUseTheRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		const packets = 3 * retrybudget.MinRetries
		for range packets {
			h.add(t, 1)
		}
		synctest.Wait()
		for range 2 {
			for _, a := range h.analyzers {
				h.Nacked(a.id, a.take(unlimited))
			}
			synctest.Wait()
			if got := h.held(); got != packets {
				t.Errorf("%d of %d packets were rerouted", got, packets)
			}
		}
	})
}

// Each attempt is charged to the retry budget once.
func TestAttemptsAreChargedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		for range retrybudget.MinRetries {
			h.add(t, 1)
		}
		synctest.Wait()
		h.nackAllAttempted()
		synctest.Wait() // uses up the retry budget
		for _, a := range h.analyzers {
			h.Nacked(a.id, a.take(unlimited))
		}
		synctest.Wait()
		if got := h.held(); got != retrybudget.MinRetries {
			t.Errorf("%d of %d packets were rerouted", got, retrybudget.MinRetries)
		}
	})
}

func TestDrainLiftsTheRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		const packets = 2 * retrybudget.MinRetries
		for range packets {
			h.add(t, 1)
		}
		synctest.Wait()
		h.Drain()
		h.nackAllAttempted()
		synctest.Wait()
		if got := h.held(); got != packets {
			t.Errorf("%d of %d packets were retried", got, packets)
		}
	})
}

// Nacked packets are refunded to an active member.
func TestNackedPacketsAreRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		for range 100 {
			h.add(t, 1)
		}
		synctest.Wait()
		h.Nacked("a0", h.analyzers[0].take(unlimited)) // all are rerouted
		synctest.Wait()
		for range 100 {
			h.add(t, 1)
		}
		synctest.Wait()
		if a, b := h.analyzers[0].holds(), h.analyzers[1].holds(); a != 100 || b != 100 {
			t.Errorf("the analyzers hold %d and %d packets, want 100 each after the refund", a, b)
		}
	})
}

// An ejected member rejoins below its low watermark, with a deficit of 0.
func TestEjectedMemberRejoinsBelowLowWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		slow := h.analyzers[0]
		slow.setFull(true)
		h.addMany(t, 1000)
		time.Sleep(time.Second)
		slow.set(func(a *analyzer) { a.capacity = 100 }) // above the low watermark
		h.addMany(t, 100)
		time.Sleep(time.Second)
		if got := slow.holds(); got != 0 {
			t.Errorf("%d packets were routed to it above the low watermark", got)
		}
		slow.setCapacity(unlimited)
		time.Sleep(time.Second)
		before := h.analyzers[1].holds()
		for range 100 {
			h.add(t, 10)
		}
		time.Sleep(time.Second)
		if slow, others := slow.holds(), h.analyzers[1].holds()-before; slow != 50 || others != 50 {
			t.Errorf("the packets were split %d to %d", slow, others)
		}
	})
}

// An analyzer in slow start joins at its reduced weight, not at that of the last
// tick.
func TestSlowStartAppliesAtJoin(t *testing.T) {
	now := time.Now()
	h := newHarness(t, 1, 1)
	h.analyzers[0].setFull(false)
	h.Tick(now)
	h.analyzers[0].setCapacity(unlimited)
	h.analyzers[0].set(func(a *analyzer) { a.ramp = 0.1 })
	for range 110 {
		h.add(t, 1)
	}
	h.Round(t.Context(), now)
	if got := h.analyzers[0].holds(); got != 10 {
		t.Errorf("the analyzer got %d of 110 packets, want 10", got)
	}
}

func TestSlowStartChangesTheShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		h.analyzers[0].set(func(a *analyzer) { a.ramp = 0.25 })
		time.Sleep(2 * upstream.TickInterval)
		got := h.Stats().Members
		if got[0].Effective != 0.2 && (got[0].Effective < 0.1999 || got[0].Effective > 0.2001) || got[0].Target != 0.5 {
			t.Errorf("its stats are %+v", got[0])
		}
	})
}

// Stop does not acknowledge packets that are not bound.
func TestStopAcknowledgesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		h.analyzers[0].setFull(true)
		h.addMany(t, 1000)
		synctest.Wait()
		h.Stop()
		stats := h.journal.Stats()
		if stats.Queued.Packets+stats.Claimed.Packets != 1000 || stats.Acknowledged.Packets != 0 {
			t.Errorf("the journal's stats are %+v", stats)
		}
		if got := h.Stats().Waiting; got != stats.Claimed {
			t.Errorf("waiting: %v, want %v", got, stats.Claimed)
		}
	})
}
