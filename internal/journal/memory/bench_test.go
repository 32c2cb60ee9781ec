package memory

import (
	"fmt"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// BenchmarkAppendFetchAck measures batches of several sizes: a packet of a large batch must not
// cost more than one of a small batch.
func BenchmarkAppendFetchAck(b *testing.B) {
	for _, batch := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) {
			j := New(Config{QueuePackets: 10_000, LimitBytes: 1 << 30})
			body := make([]byte, 800)
			fresh := make([]*packet.Packet, batch)
			fetched := make([]*packet.Packet, 0, batch)
			b.ReportAllocs()
			for b.Loop() {
				for i := range fresh {
					fresh[i] = pool.New(body, packet.Info{Messages: 5})
				}
				if _, err := j.Append(fresh); err != nil {
					b.Fatal(err)
				}
				fetched = journaltest.Fetch(j, fetched[:0], batch)
				j.Ack(fetched)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
		})
	}
}
