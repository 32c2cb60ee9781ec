package syslog

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

// BenchmarkConsume translates a batch of a connection, of 64 KiB, into packets that the journal
// takes.
func BenchmarkConsume(b *testing.B) {
	for name, line := range map[string]string{
		"rfc5424": "<165>1 2026-11-29T15:00:00.123456Z web-1.example.com app 4711 ID47 - GET /index.html 200 in 12 ms for user %d\n",
		"sd":      "<165>1 2026-11-29T15:00:00.123456Z web-1.example.com app 4711 ID47 [origin@32473 ip=\"192.0.2.1\" user=\"7\"] GET /index.html 200 in 12 ms for user %d\n",
		"rfc3164": "<13>Nov 29 15:00:00 web-1 nginx[4711]: GET /index.html 200 in 12 ms for user %d\n",
	} {
		b.Run(name, func(b *testing.B) {
			f := (&protocoltest.System{Journal: protocoltest.Journal{Discard: true}}).Start(b, "syslog")
			p := New(f.Receiver, time.UTC)
			s := &session{protocol: p, client: f.Receiver.Client(netip.Addr{}, credential.OfCertificate(nil)), peer: []byte("peer"), translator: p.newTranslator()}
			s.visit = s.add
			var data []byte
			lines := 0
			for ; len(data) < 64<<10; lines++ {
				data = fmt.Appendf(data, line, lines)
			}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if used, _ := s.Consume(ctx, data, false); used != len(data) {
					b.Fatal(used)
				}
			}
			b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
