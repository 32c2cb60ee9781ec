package otlp

import (
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// otlpRequest returns a request with that many typical records, about 286 bytes each.
func otlpRequest(records int) []byte {
	pair := func(dst []byte, tag byte, key, value string) []byte {
		dst, begin := protobuf.Open(dst, tag)
		dst = protobuf.AppendText(dst, otlp.KeyValueKey, []byte(key))
		dst, inner := protobuf.Open(dst, otlp.KeyValueValue)
		dst = protobuf.AppendText(dst, otlp.ValueString, []byte(value))
		return protobuf.Close(protobuf.Close(dst, inner), begin)
	}
	dst, resourceLogs := protobuf.Open(nil, otlp.RequestResourceLogs)
	dst, resource := protobuf.Open(dst, otlp.ResourceLogsResource)
	for _, key := range []string{"service.name", "service.instance.id", "host.name", "k8s.pod.name", "k8s.namespace.name", "os.type", "cloud.region", "deployment.environment.name"} {
		dst = pair(dst, otlp.ResourceAttributes, key, "value-of-"+key)
	}
	dst = protobuf.Close(dst, resource)
	dst, scopeLogs := protobuf.Open(dst, otlp.ResourceLogsScopeLogs)
	dst, scope := protobuf.Open(dst, otlp.ScopeLogsScope)
	dst = protobuf.Close(protobuf.AppendText(dst, otlp.ScopeName, []byte("example.com/scope")), scope)
	for n := range records {
		var record int
		dst, record = protobuf.Open(dst, otlp.ScopeLogsLogRecords)
		now := uint64(time.Now().UnixNano())
		dst = protobuf.AppendFixed64(dst, otlp.RecordTime, now+uint64(n))
		dst = protobuf.AppendFixed64(dst, otlp.RecordObservedTime, now+uint64(n))
		dst = protobuf.AppendVarint(dst, otlp.RecordSeverityNumber, 9)
		dst = protobuf.AppendText(dst, otlp.RecordSeverityText, []byte("INFO"))
		var body int
		dst, body = protobuf.Open(dst, otlp.RecordBody)
		dst = protobuf.Close(protobuf.AppendText(dst, otlp.ValueString, fmt.Appendf(nil, "request %d was answered with 200 after 12 ms, 4711 bytes were sent", n)), body)
		dst = pair(dst, otlp.RecordAttributes, "http.request.method", "GET")
		dst = pair(dst, otlp.RecordAttributes, "url.path", "/api/v1/orders/42")
		dst = pair(dst, otlp.RecordAttributes, "user.id", "u-1234567")
		dst = protobuf.AppendText(dst, otlp.RecordTraceID, []byte("0123456789abcdef"))
		dst = protobuf.AppendText(dst, otlp.RecordSpanID, []byte("01234567"))
		dst = protobuf.Close(dst, record)
	}
	return protobuf.Close(protobuf.Close(dst, scopeLogs), resourceLogs)
}

// BenchmarkTranslate translates a request of 500 records and seals its packets.
func BenchmarkTranslate(b *testing.B) {
	f := newFixture(b, false)
	request := otlpRequest(500)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	t, now, client := newTranslator(), time.Now(), []byte("192.0.2.1")
	for b.Loop() {
		packets := f.receiver.NewPackets(b.Context(), nil)
		if _, err := t.translate(request, packets, client, now); err != nil {
			b.Fatal(err)
		}
		for _, p := range packets.Seal("otlp-0123456789abcdef0123456789abcdef") {
			f.in.Memory().Drop(p)
		}
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkMeasure is BenchmarkTranslate for packets that are deferred.
func BenchmarkMeasure(b *testing.B) {
	f := newFixture(b, false)
	request := otlpRequest(500)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	t, now, client := newTranslator(), time.Now(), []byte("192.0.2.1")
	for b.Loop() {
		packets := f.receiver.NewPackets(b.Context(), nil)
		packets.Measure()
		if _, err := t.translate(request, packets, client, now); err != nil || !packets.Defer("otlp-0123456789abcdef0123456789abcdef", f.protocol.complete) {
			b.Fatal(err)
		}
		packets.Drop()
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkExport handles whole requests, with and without deferred packets. 500 records are one
// packet; 512 records are two packets, without origins and not deferred.
func BenchmarkExport(b *testing.B) {
	for _, records := range []int{500, 512} {
		for _, deferred := range []bool{false, true} {
			b.Run(fmt.Sprintf("records=%d/deferred=%t", records, deferred), func(b *testing.B) { benchmarkExport(b, records, deferred) })
		}
	}
}

func benchmarkExport(b *testing.B, records int, deferred bool) {
	f := newFixture(b, false)
	f.origins, f.defers = true, deferred
	request := otlpRequest(records)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	for b.Loop() {
		request[len(request)-1]++ // the packet is not a duplicate
		if response := f.do("POST", "/v1/logs", "application/x-protobuf", string(request)); response.Status != 200 {
			b.Fatal(response.Status)
		}
		packets, err := f.journal.Fetch(b.Context(), nil, 100)
		if err != nil {
			b.Fatal(err)
		}
		f.journal.Ack(packets)
	}
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
}
