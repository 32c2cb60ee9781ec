package otlp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/otlp"
)

// otlpRequest returns a request with that many records of the usual kind, about 286 bytes each.
func otlpRequest(records int) []byte {
	pair := func(dst []byte, tag byte, key, value string) []byte {
		dst, begin := otlp.Open(dst, tag)
		dst = otlp.AppendText(dst, otlp.KeyValueKey, []byte(key))
		dst, inner := otlp.Open(dst, otlp.KeyValueValue)
		dst = otlp.AppendText(dst, otlp.ValueString, []byte(value))
		return otlp.Close(otlp.Close(dst, inner), begin)
	}
	dst, resourceLogs := otlp.Open(nil, otlp.RequestResourceLogs)
	dst, resource := otlp.Open(dst, otlp.ResourceLogsResource)
	for _, key := range []string{"service.name", "service.instance.id", "host.name", "k8s.pod.name", "k8s.namespace.name", "os.type", "cloud.region", "deployment.environment.name"} {
		dst = pair(dst, otlp.ResourceAttributes, key, "value-of-"+key)
	}
	dst = otlp.Close(dst, resource)
	dst, scopeLogs := otlp.Open(dst, otlp.ResourceLogsScopeLogs)
	dst, scope := otlp.Open(dst, otlp.ScopeLogsScope)
	dst = otlp.Close(otlp.AppendText(dst, otlp.ScopeName, []byte("example.com/scope")), scope)
	for n := range records {
		var record int
		dst, record = otlp.Open(dst, otlp.ScopeLogsLogRecords)
		now := uint64(time.Now().UnixNano())
		dst = otlp.AppendFixed64(dst, otlp.RecordTime, now+uint64(n))
		dst = otlp.AppendFixed64(dst, otlp.RecordObservedTime, now+uint64(n))
		dst = otlp.AppendVarint(dst, otlp.RecordSeverityNumber, 9)
		dst = otlp.AppendText(dst, otlp.RecordSeverityText, []byte("INFO"))
		var body int
		dst, body = otlp.Open(dst, otlp.RecordBody)
		dst = otlp.Close(otlp.AppendText(dst, otlp.ValueString, fmt.Appendf(nil, "request %d was answered with 200 after 12 ms, 4711 bytes were sent", n)), body)
		dst = pair(dst, otlp.RecordAttributes, "http.request.method", "GET")
		dst = pair(dst, otlp.RecordAttributes, "url.path", "/api/v1/orders/42")
		dst = pair(dst, otlp.RecordAttributes, "user.id", "u-1234567")
		dst = otlp.AppendText(dst, otlp.RecordTraceID, []byte("0123456789abcdef"))
		dst = otlp.AppendText(dst, otlp.RecordSpanID, []byte("01234567"))
		dst = otlp.Close(dst, record)
	}
	return otlp.Close(otlp.Close(dst, scopeLogs), resourceLogs)
}

// BenchmarkTranslate translates a request of 500 records and seals its packets.
func BenchmarkTranslate(b *testing.B) {
	f := newFixture(b, false)
	request := otlpRequest(500)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	t, now, client := newTranslator(), time.Now(), netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		packets := f.receiver.NewPackets(b.Context())
		if _, err := t.translate(request, packets, client, now); err != nil {
			b.Fatal(err)
		}
		for _, p := range packets.Seal("otlp-0123456789abcdef0123456789abcdef") {
			f.in.Memory().Drop(p)
		}
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkExport handles whole requests of 500 records.
func BenchmarkExport(b *testing.B) {
	f := newFixture(b, false)
	request := otlpRequest(500)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	for b.Loop() {
		request[len(request)-1]++ // it is no duplicate
		if answer := f.do("POST", "/v1/logs", "application/x-protobuf", string(request)); answer.Status != 200 {
			b.Fatal(answer.Status)
		}
		packets, err := f.journal.Fetch(b.Context(), nil, 100)
		if err != nil {
			b.Fatal(err)
		}
		f.journal.Ack(packets)
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}
