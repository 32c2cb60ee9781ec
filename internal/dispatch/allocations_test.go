package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestARoundAllocatesNothing(t *testing.T) {
	for _, analyzers := range []int{3, 300} {
		d := newRounds(t, analyzers, roundPackets)
		now := time.Now()
		if got := testing.AllocsPerRun(100, func() { d.round(now) }); got != 0 {
			t.Errorf("%v allocations for a round of %d packets among %d analyzers, want none", got, roundPackets, analyzers)
		}
	}
}

func TestClaimingAndSettlingAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	const runs = 100
	w := newWorld(t, 1)
	w.addMany(t, runs+1) // AllocsPerRun runs once more than it is told
	claimed := make([]*packet.Packet, 0, 1)
	settle := func() {
		if claimed = w.journal.Claim(claimed[:0], 1); len(claimed) == 1 {
			w.Delivered(0, claimed)
		}
	}
	if got := testing.AllocsPerRun(runs, settle); got != 0 {
		t.Errorf("%v allocations to claim and settle a packet, want none", got)
	}
	if delivered := w.Books().Delivered.Packets; delivered != runs+1 {
		t.Errorf("%d of %d packets were settled", delivered, runs+1)
	}
}

func TestWhatComesBackAllocatesNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.addMany(t, 100)
	claimed := w.journal.Claim(nil, 100)
	var back []*packet.Packet
	again := func() {
		for _, p := range claimed {
			p.Tried = !p.Tried
		}
		w.Returned(0, claimed)
		back = w.ledger.takeReturned(back[:0], comebacks{tried: len(claimed)}, time.Now())
	}
	if got := testing.AllocsPerRun(100, again); got != 0 {
		t.Errorf("%v allocations for 100 packets that come back, want none", got)
	}
}

// Whoever wants balanced books looks at them again and again: no reroutes are copied.
func TestBooksCopyAccountsAlone(t *testing.T) {
	w := newWorld(t, 1, 1)
	for i := range 10_000 {
		w.ledger.reroutes[Reroute{fmt.Sprint(i), "a0"}] = 1
	}
	if got := testing.AllocsPerRun(100, func() { w.Books() }); got != 1 {
		t.Errorf("%v allocations for a look at the books, want 1", got)
	}
}
