package memory

import (
	"fmt"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// BenchmarkPutClaimAck is a ladder of batches: packets of a large one may not
// cost more than those of a small one.
func BenchmarkPutClaimAck(b *testing.B) {
	for _, batch := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) {
			j := New(Config{QueuePackets: 10_000, LimitBytes: 1 << 30})
			body := make([]byte, 800)
			fresh := make([]*packet.Packet, batch)
			claimed := make([]*packet.Packet, 0, batch)
			b.ReportAllocs()
			for b.Loop() {
				for i := range fresh {
					fresh[i] = pool.New(body, packet.Info{Messages: 5})
				}
				if _, err := j.Append(fresh); err != nil {
					b.Fatal(err)
				}
				claimed = journaltest.Fetch(j, claimed[:0], batch)
				j.Ack(claimed)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
		})
	}
}
