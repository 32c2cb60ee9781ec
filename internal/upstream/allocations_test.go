package upstream

import "testing"

func TestAQueuedPacketAllocatesNothing(t *testing.T) {
	for _, batch := range batches {
		if got := testing.AllocsPerRun(1000, passThrough(t, batch)); got != 0 {
			t.Errorf("%v allocations for %d packets, want none", got, batch)
		}
	}
}

func TestAllocationsOfARequest(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	for _, batch := range batches {
		if got := testing.AllocsPerRun(200, delivery(t, batch)); got > 0 {
			t.Errorf("%v allocations for a request of %d packets, want 0", got, batch)
		}
	}
}
