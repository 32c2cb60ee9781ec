package router

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Packets that no analyzer can take go back to a shared journal after a while, and no longer
// count for the analyzers that returned them; packets of another journal stay.
func TestPacketsAreHandedBack(t *testing.T) {
	for _, shared := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, 0.5, 0.5)
			h.handBack = shared
			h.Start(t.Context())
			defer h.Stop()
			h.addMany(t, 100)
			synctest.Wait()
			nackAll(h)
			time.Sleep(handBackAfter / 2)
			if s := h.journal.Stats(); s.Claimed.Packets != 100 {
				t.Errorf("shared: %v: %d packets are claimed early", shared, s.Claimed.Packets)
			}
			time.Sleep(handBackAfter)
			synctest.Wait()
			checkHandedBack(t, h, shared)
			for _, a := range h.analyzers {
				a.set(func(a *analyzer) { a.capacity, a.transient = unlimited, true })
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := h.held(); shared && got != 100 {
				t.Errorf("shared: %v: %d packets are routed when the analyzers are back", shared, got)
			}
		})
	}
}

// nackAll nacks all packets of two analyzers, which have no capacity from now on. The packets of
// the first one are in quarantine.
func nackAll(h *harness) {
	failing, back := h.analyzers[0].take(unlimited), h.analyzers[1].take(unlimited)
	for _, a := range h.analyzers {
		a.set(func(a *analyzer) { a.capacity, a.transient = 0, false })
	}
	for i := range failing {
		for range quarantineFailures {
			fail(&failing[i], time.Now(), true)
		}
	}
	h.Nacked("a0", failing)
	h.Nacked("a1", back)
}

// checkHandedBack checks that the router holds no packet of a shared journal, and all packets of
// another one.
func checkHandedBack(t *testing.T, h *harness, shared bool) {
	t.Helper()
	want, stats := int64(100), h.Stats()
	if shared {
		want = 0
	}
	if (stats.Quarantined == 0) != shared {
		t.Errorf("shared: %v: %d packets are quarantined", shared, stats.Quarantined)
	}
	var held packet.Volume
	for _, m := range stats.Members {
		held = held.Plus(m.Held())
	}
	if s := h.journal.Stats(); s.Claimed.Packets != want || stats.Waiting.Packets != want || held.Packets != want {
		t.Errorf("shared: %v: %d packets are claimed, %d wait, analyzers count %d; want %d of each", shared, s.Claimed.Packets, stats.Waiting.Packets, held.Packets, want)
	}
}

// Retries that wait for capacity when they are handed back no longer count as retries under way:
// packets that fail later are retried.
func TestRetriesThatAreHandedBackEnd(t *testing.T) {
	for name, failed := range map[string]func(*harness, []upstream.Delivery){
		"failed": func(h *harness, packets []upstream.Delivery) {
			for range quarantineFailures {
				fail(&packets[0], time.Now(), true)
			}
			h.Nacked("a0", packets)
		},
		"rejected without a dead letter": func(h *harness, packets []upstream.Delivery) {
			h.store.failFor(allPackets)
			h.reject(h.analyzers[0], packets)
			h.store.failFor(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, 1)
				h.handBack = true
				h.Start(t.Context())
				defer h.Stop()
				only := h.analyzers[0]
				h.add(t, 1)
				synctest.Wait()
				packets := only.take(unlimited)
				only.set(func(a *analyzer) { a.capacity = 0 })
				failed(h, packets)
				synctest.Wait()
				time.Sleep(time.Minute)
				only.set(func(a *analyzer) { a.transient = false })
				time.Sleep(handBackAfter + time.Second)
				synctest.Wait()
				if s := h.journal.Stats(); s.Claimed.Packets != 0 {
					t.Fatalf("%d packets are claimed after they should be handed back", s.Claimed.Packets)
				}
				if s := h.Stats(); s.Quarantined != 0 {
					t.Errorf("%d packets are quarantined", s.Quarantined)
				}
				only.set(func(a *analyzer) { a.capacity, a.transient = unlimited, true })
				time.Sleep(time.Second)
				synctest.Wait()
				failed(h, only.take(unlimited))
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := h.held(); got != 1 {
					t.Errorf("%d packets are retried, want 1", got)
				}
			})
		})
	}
}
