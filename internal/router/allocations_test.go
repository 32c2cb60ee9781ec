package router

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

func TestRoundDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	for _, analyzers := range []int{3, 300} {
		r := newRoundRouter(t, analyzers, maxRoundPackets)
		now := time.Now()
		if got := testing.AllocsPerRun(100, func() { r.round(t.Context(), now) }); got != 0 {
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
	claimed := make([]upstream.Delivery, 0, 1)
	var packets []*packet.Packet
	settle := func() {
		if packets, _ = h.journal.Fetch(t.Context(), packets[:0], 1); len(packets) == 1 {
			claimed = append(claimed[:0], upstream.Delivery{Packet: packets[0]})
			h.Delivered("a0", claimed)
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
	packets, _ := h.journal.Fetch(t.Context(), nil, 100)
	claimed := make([]upstream.Delivery, len(packets))
	for i, p := range packets {
		claimed[i].Packet = p
	}
	var requeuedPackets []upstream.Delivery
	again := func() {
		for i := range claimed {
			claimed[i].Attempted = !claimed[i].Attempted
		}
		h.Nacked("a0", claimed)
		requeuedPackets = h.requeue.take(requeuedPackets[:0], requeued{attempted: len(claimed)}, time.Now())
	}
	if got := testing.AllocsPerRun(100, again); got != 0 {
		t.Errorf("%v allocations for 100 requeued packets, want none", got)
	}
}

// Stats is called often.
func TestStatsAllocatesMembersOnly(t *testing.T) {
	h := newHarness(t, 1, 1)
	if got := testing.AllocsPerRun(100, func() { h.Stats() }); got != 1 {
		t.Errorf("%v allocations per Stats, want 1", got)
	}
}
