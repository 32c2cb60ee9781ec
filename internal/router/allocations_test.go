package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestRoundDoesNotAllocate(t *testing.T) {
	for _, analyzers := range []int{3, 300} {
		r := newRoundRouter(t, analyzers, maxRoundPackets)
		now := time.Now()
		if got := testing.AllocsPerRun(100, func() { r.round(now) }); got != 0 {
			t.Errorf("%v allocations for a round of %d packets and %d analyzers, want none", got, maxRoundPackets, analyzers)
		}
	}
}

func TestClaimAndSettleDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	const runs = 100
	h := newHarness(t, 1)
	h.addMany(t, runs+1) // AllocsPerRun runs once more
	claimed := make([]*packet.Packet, 0, 1)
	settle := func() {
		if claimed = h.journal.Fetch(claimed[:0], 1); len(claimed) == 1 {
			h.Delivered(0, claimed)
		}
	}
	if got := testing.AllocsPerRun(runs, settle); got != 0 {
		t.Errorf("%v allocations to claim and settle a packet, want none", got)
	}
	if delivered := h.Stats().Delivered.Packets; delivered != runs+1 {
		t.Errorf("%d of %d packets were settled", delivered, runs+1)
	}
}

func TestRequeueDoesNotAllocate(t *testing.T) {
	h := newHarness(t, 1, 1)
	h.addMany(t, 100)
	claimed := h.journal.Fetch(nil, 100)
	var requeuedPackets []*packet.Packet
	again := func() {
		for _, p := range claimed {
			p.Attempted = !p.Attempted
		}
		h.Nacked(0, claimed)
		requeuedPackets = h.ledger.takeRequeued(requeuedPackets[:0], requeued{attempted: len(claimed)}, time.Now())
	}
	if got := testing.AllocsPerRun(100, again); got != 0 {
		t.Errorf("%v allocations for 100 requeued packets, want none", got)
	}
}

// Stats is called often and does not copy reroutes.
func TestStatsCopiesMembersOnly(t *testing.T) {
	h := newHarness(t, 1, 1)
	for i := range 10_000 {
		h.ledger.reroutes[Reroute{fmt.Sprint(i), "a0"}] = 1
	}
	if got := testing.AllocsPerRun(100, func() { h.Stats() }); got != 1 {
		t.Errorf("%v allocations per Stats, want 1", got)
	}
}
