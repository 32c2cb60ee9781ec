package upstream

import (
	"math"
	"testing"
)

func TestAQueuedPacketAllocatesNothing(t *testing.T) {
	for _, batch := range batches {
		if got := testing.AllocsPerRun(1000, queueCycle(t, batch)); got != 0 {
			t.Errorf("%v allocations for %d packets, want none", got, batch)
		}
	}
}

func TestAllocationsOfARequest(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	for _, batch := range batches {
		// The histogram makes room for each new duration, once: on a busy machine
		// there are many at first. What each request allocates shows every time.
		deliver, least := delivery(t, batch), math.Inf(1)
		for tries := 0; least > 0 && tries < 20; tries++ {
			least = min(least, testing.AllocsPerRun(200, deliver))
		}
		if least > 0 {
			t.Errorf("%v allocations for a request of %d packets, want 0", least, batch)
		}
	}
}
