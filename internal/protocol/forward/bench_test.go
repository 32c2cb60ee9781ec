package forward

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

// One frame of 500 records, such as Fluent Bit sends, to packets that the journal takes.
func BenchmarkFrame(b *testing.B) {
	const records = 500
	at := time.Now()
	var entries []byte
	for n := range records {
		entries = append(entries, pack([]any{packTime(at), pairs{
			{"log", fmt.Sprintf("GET /index.html 200 in 12 ms for user %d", n)}, {"stream", "stdout"}, {"level", "info"},
			{"status", 200}, {"kubernetes", pairs{{"pod_name", "web-1"}, {"namespace_name", "shop"}}},
		}})...)
	}
	for name, data := range map[string][]byte{
		"packed": pack([]any{"app.web", entries}),
		"gzip":   pack([]any{"app.web", gzipped(entries), pairs{{"compressed", "gzip"}}}),
	} {
		b.Run(name, func(b *testing.B) {
			f := (&protocoltest.System{Journal: protocoltest.Journal{Discard: true}}).Start(b, "forward")
			s := &session{client: f.Receiver.Client(protocoltest.Client, credential.OfCertificate(nil)), protocol: New(Config{}, f.Receiver), translator: translator{receiver: f.Receiver, peer: netip.MustParseAddr("192.0.2.1")}}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if used, err := s.Consume(ctx, data, false); used != len(data) || err != nil {
					b.Fatal(used, err)
				}
			}
			b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
