package router

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Packets of an analyzer that left are counted for it, and not for its successor with the
// same id; both together are what is reported, also after it was forgotten.
func TestBooksOfASuccessor(t *testing.T) {
	h := newHarness(t, 1, 1)
	now := time.Now()
	h.Tick(now)
	h.addMany(t, 20)
	for h.Round(t.Context(), now) {
	}
	old := h.analyzers[0]
	successor := &analyzer{id: old.id, capacity: unlimited, transient: true, ramp: 1}
	if err := h.configure(func(s *Settings) { s.Members[0].Analyzer = successor }); err != nil {
		t.Fatal(err)
	}
	h.addMany(t, 20)
	for h.Round(t.Context(), now) {
	}
	held := upstream.VolumeOf(old.bound)
	if began, _, ok := h.DrainStats(old); !ok || began.Bound() != held {
		t.Errorf("it held %v, its statistics say %v (%v)", held, began.Bound(), ok)
	}
	if _, _, ok := h.DrainStats(successor); ok {
		t.Error("the successor is drained")
	}
	h.Delivered(old.id, old.take(3))
	back := old.take(2)
	back[0].Attempted = true
	h.Nacked(old.id, back)
	h.reject(old, old.take(1))
	h.Delivered(successor.id, successor.take(1))
	began, after, ok := h.DrainStats(old)
	if got := [6]int64{after.Delivered.Packets, after.Nacked.Packets, after.DeadLettered.Packets, after.Attempted, after.Bound().Packets, after.Routed.Packets - began.Routed.Packets}; !ok ||
		got != [6]int64{3, 2, 1, 1, int64(old.holds()), 0} {
		t.Errorf("delivered, nacked, dead-lettered, attempted, bound, routed since: %v", got)
	}
	h.Delivered(old.id, old.take(unlimited))
	before := h.Stats().Members[0]
	if dropped := h.Forget(old); len(dropped) > 0 || h.Forget(old) != nil {
		t.Errorf("%v were dropped", dropped)
	}
	if after := h.Stats().Members[0]; after != before {
		t.Errorf("after it was forgotten the statistics are %+v, before %+v", after, before)
	}
}

// The counters of as many departed ids are kept as there may be members.
func TestDepartedAreBounded(t *testing.T) {
	h := newHarness(t, 1)
	dropped := 0
	for i := range maxDeparted + 5 {
		a := &analyzer{id: fmt.Sprint("b", i), ramp: 1}
		if err := h.Add(a, 1); err != nil {
			t.Fatal(err)
		}
		if err := h.Remove(a.id); err != nil {
			t.Fatal(err)
		}
		dropped += len(h.Forget(a))
	}
	if got := len(h.Stats().Former); got != maxDeparted || dropped != 5 {
		t.Errorf("%d are kept, %d dropped", got, dropped)
	}
}

// While routing is paused no packet is fetched or routed.
func TestPausedRouting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		pause := func(paused bool) {
			if err := h.configure(func(s *Settings) { s.Paused = paused }); err != nil {
				t.Fatal(err)
			}
		}
		pause(true)
		h.addMany(t, 10)
		time.Sleep(time.Minute)
		synctest.Wait()
		if h.held() > 0 || h.journal.Stats().Queued.Packets != 10 {
			t.Errorf("%d packets were routed", h.held())
		}
		pause(false)
		synctest.Wait()
		if h.held() != 10 {
			t.Errorf("%d packets were routed, want 10", h.held())
		}
	})
}
