package router

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Analyzers that are full for a moment get the same packets as otherwise.
func TestTransientlyFullMembersKeepTheOrder(t *testing.T) {
	histories := make([][]int, 2)
	for i, full := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := started(t, 0.5, 0.3, 0.2)
			for step := range 300 {
				h.add(t, 1+step*37%100)
				blocked := full && step%20 == 0
				if blocked {
					for _, a := range h.analyzers {
						a.setFull(true)
					}
				}
				synctest.Wait()
				if blocked {
					time.Sleep(3 * time.Millisecond)
					for _, a := range h.analyzers {
						a.setCapacity(unlimited)
					}
					h.CapacityChanged()
					synctest.Wait()
				}
				time.Sleep(20 * time.Millisecond)
				for _, a := range h.analyzers {
					for range a.take(unlimited) {
						histories[i] = append(histories[i], slices.Index(h.analyzers, a))
					}
				}
			}
			checkShares(t, h.Stats())
		})
	}
	if len(histories[0]) != 300 || len(histories[1]) != 300 {
		t.Fatalf("%d and %d packets were routed", len(histories[0]), len(histories[1]))
	}
	for step := range histories[0] {
		if histories[0][step] != histories[1][step] {
			t.Fatalf("packet %d was routed to %d, want %d as without full analyzers", step, histories[1][step], histories[0][step])
		}
	}
}

// A full analyzer blocks the others only for its wait budget.
func TestFullMemberDoesNotBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		h.analyzers[0].setFull(true)
		h.addMany(t, 1000)
		time.Sleep(maxWaitBudget + 2*upstream.TickInterval)
		if got := h.analyzers[1].holds(); got != 1000 {
			t.Fatalf("the other analyzer got %d packets, want all 1000", got)
		}
		if got := h.Stats().Members; got[0].Effective != 0 || got[1].Effective != 1 {
			t.Errorf("the shares are %v and %v", got[0].Effective, got[1].Effective)
		}
		// A member that is always slow blocks the others for a twentieth of the time.
		wait := time.Duration(0)
		for range 600 {
			h.analyzers[0].set(func(a *analyzer) { a.belowLowWatermark = true }) // the member rejoins without capacity
			began := time.Now()
			h.addMany(t, 10)
			synctest.Wait()
			for h.Stats().Waiting.Packets > 0 {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			wait += time.Since(began)
			time.Sleep(upstream.TickInterval)
		}
		if limit := 60 * time.Second / 5; wait > limit {
			t.Errorf("packets waited %v in a minute", wait)
		}
	})
}

// Of 100 equal analyzers 40 deliver 20 packets per second each, half of their share,
// and hold up to 20; the others deliver at once.
func TestManySlowMembersDoNotBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			slow, held  = 40, 20
			each        = 50 // ms, for a packet at a slow one
			packetsInMs = 4
			maxQueued   = 4000 // the arrivals of a second
		)
		weights := make([]float64, 100)
		for i := range weights {
			weights[i] = 1
		}
		h := newHarness(t, weights...)
		for _, a := range h.analyzers[:slow] {
			a.capacity = held
		}
		h.Start(t.Context())
		t.Cleanup(h.Stop)
		for ms := range 10_000 {
			for range packetsInMs {
				h.add(t, 1)
			}
			for i, a := range h.analyzers {
				deliverable := unlimited
				if i < slow {
					deliverable = 0
					if (ms+i)%each == 0 {
						deliverable = 1
					}
				}
				if taken := a.take(deliverable); len(taken) > 0 {
					a.set(func(a *analyzer) { a.capacity += len(taken) })
					h.Delivered(a.id, taken)
					h.CapacityChanged()
				}
				a.set(func(a *analyzer) { a.belowLowWatermark = i >= slow || len(a.bound) <= held/2 })
			}
			time.Sleep(time.Millisecond)
			if queued := h.journal.Stats().Queued.Packets; queued > maxQueued {
				t.Fatalf("after %d ms %d of %d packets are queued, while most analyzers are idle", ms, queued, h.added)
			}
		}
	})
}

// pass advances the time with calls of CapacityChanged.
func (h *harness) pass(duration time.Duration) {
	const step = 5 * time.Millisecond
	for range duration / step {
		time.Sleep(step)
		h.CapacityChanged()
	}
}

// checkTransientlyFull fails unless the first two analyzers, of the same weight, get
// the same number of packets while one of them is full for a moment.
func (h *harness) checkTransientlyFull(t *testing.T) {
	t.Helper()
	const packets, tolerance = 100, 5
	a, b := h.analyzers[0], h.analyzers[1]
	before := a.holds() - b.holds()
	a.setFull(true)
	for range packets {
		h.add(t, 1)
	}
	h.pass(maxWaitBudget / 2)
	a.setCapacity(unlimited)
	h.CapacityChanged()
	synctest.Wait()
	if got := a.holds() - b.holds() - before; got < -tolerance || got > tolerance {
		t.Errorf("of %d packets the transiently full analyzer got %d more than the other", packets, got)
	}
}

// Members that are always slow do not use up the global wait budget.
func TestTransientlyFullMemberBesideSlowMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1, 1, 1, 1, 1, 1, 1)
		load := func(duration time.Duration) {
			const step = 5 * time.Millisecond
			for range duration / step {
				for _, a := range h.analyzers[2:] {
					a.set(func(a *analyzer) { a.capacity, a.belowLowWatermark = 0, true }) // the member rejoins without capacity
				}
				h.add(t, 1)
				h.pass(step)
			}
		}
		load(20 * time.Second) // until their wait budgets are used up
		for range 5 {
			load(10 * time.Second)
			h.checkTransientlyFull(t)
		}
	})
}

// Only time spent waiting for capacity is charged to wait budgets.
func TestWaitBudgetAfterOutage(t *testing.T) {
	for name, fail := range map[string]func(*analyzer){
		"overload": func(a *analyzer) { a.setFull(true) },
		"outage":   func(a *analyzer) { a.setFull(false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := started(t, 1, 1)
				for _, a := range h.analyzers {
					a.setFull(true)
				}
				h.addMany(t, 100)
				time.Sleep(maxWaitBudget / 2) // routing waits for one of them
				for _, a := range h.analyzers {
					fail(a)
				}
				time.Sleep(10 * time.Minute)
				for _, a := range h.analyzers {
					a.setCapacity(unlimited)
				}
				time.Sleep(10 * time.Second)
				h.checkTransientlyFull(t)
			})
		})
	}
}

// Strict routing waits for a full analyzer without limit.
func TestStrictRoutingWaits(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, 1, 1)
			if err := h.configure(func(s *Settings) { s.Strict = strict }); err != nil {
				t.Fatal(err)
			}
			h.analyzers[0].set(func(a *analyzer) { a.capacity, a.belowLowWatermark = 0, false })
			h.Start(t.Context())
			defer h.Stop()
			for range 100 {
				h.add(t, 1)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := h.analyzers[1].holds(); (got == 100) == strict {
				t.Errorf("strict %v: after a minute the other analyzer holds %d of 100 packets", strict, got)
			}
		})
	}
}
