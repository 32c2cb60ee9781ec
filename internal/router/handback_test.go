package router

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Packets that no analyzer can take go back to a shared journal after a while, and no longer
// count for the analyzers that returned them; those of another journal stay.
func TestPacketsAreHandedBack(t *testing.T) {
	for _, shared := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, 0.5, 0.5)
			h.handBack = shared
			h.Start(t.Context())
			defer h.Stop()
			h.addMany(t, 100)
			synctest.Wait()
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
			time.Sleep(handBackAfter / 2)
			if s := h.journal.Stats(); s.Claimed.Packets != 100 {
				t.Errorf("shared: %v: %d packets are claimed early", shared, s.Claimed.Packets)
			}
			time.Sleep(handBackAfter)
			synctest.Wait()
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
