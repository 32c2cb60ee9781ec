package upstream

import (
	"math"
	"testing"
)

func TestQueueDoesNotAllocate(t *testing.T) {
	for _, batch := range batches {
		if got := testing.AllocsPerRun(1000, queueCycle(t, batch)); got != 0 {
			t.Errorf("%v allocations for %d packets, want none", got, batch)
		}
	}
}

func TestRequestDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	for _, batch := range batches {
		// The histogram allocates for each new duration, once: on a busy machine there are
		// many at first. Allocations of each request show every time.
		deliver, minAllocs := delivery(t, batch), math.Inf(1)
		for rounds := 0; minAllocs > 0 && rounds < 20; rounds++ {
			minAllocs = min(minAllocs, testing.AllocsPerRun(200, deliver))
		}
		if minAllocs > 0 {
			t.Errorf("%v allocations for a request of %d packets, want 0", minAllocs, batch)
		}
	}
}
