package distributor

import (
	"fmt"
	"testing"
)

func TestAllocationsPerPacket(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	const most = 2.25
	for _, lines := range []bool{true, false} {
		t.Run(fmt.Sprintf("ndjson=%v", lines), func(t *testing.T) {
			traffic := startTraffic(t, lines)
			for range 10 { // until buffers have their sizes
				traffic.burst(t)
			}
			got := testing.AllocsPerRun(20, func() { traffic.burst(t) }) / burstPackets
			t.Logf("%.2f allocations a packet", got)
			if got > most {
				t.Errorf("%.2f allocations a packet, want at most %v", got, most)
			}
		})
	}
}
