package otlp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// otlpPacket returns a packet of that many messages as the input of OTLP makes them.
func otlpPacket(tb testing.TB, messages int) *packet.Packet {
	tb.Helper()
	var attributes []string
	var copied strings.Builder
	for _, key := range []string{"service.name", "service.instance.id", "host.name", "k8s.pod.name", "k8s.namespace.name", "os.type", "cloud.region", "deployment.environment.name"} {
		attributes = append(attributes, fmt.Sprintf(`"%s":"value-of-%s"`, key, key))
		if key != "os.type" && key != "cloud.region" {
			fmt.Fprintf(&copied, `"%s":"value-of-%s",`, key, key)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, `{"emitter_id":"shop/web-1","resource":{"attributes":{%s}},"scopes":[{"name":"example.com/scope"}],"messages":[`, strings.Join(attributes, ","))
	for i := range messages {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"timestamp":%d,"level":"INFO","message":"request %d was answered with 200 after 12 ms, 4711 bytes were sent",`+
			`"metadata":{"time_unix_nano":"%d456789","input":"otlp",%s"otel.scope.name":"example.com/scope","severity_number":"9","observed_time_unix_nano":"%d456789",`+
			`"trace_id":"0102030405060708090a0b0c0d0e0f10","span_id":"0102030405060708","http.request.method":"GET","url.path":"/api/v1/orders/42","user.id":"u-1234567"},"scope":0}`,
			1790000000000+i, i, 1790000000000+i, copied.String(), 1790000000000+i)
	}
	text.WriteString(`],"packet_id":"otlp-0123456789abcdef-0"}`)
	info, err := packet.Check([]byte(text.String()), messages)
	if err != nil {
		tb.Fatal(err)
	}
	return &packet.Packet{Body: []byte(text.String()), Info: info}
}

// BenchmarkEncode encodes a packet of 500 records that came by OTLP.
func BenchmarkEncode(b *testing.B) {
	const records = 500
	packets := []*packet.Packet{otlpPacket(b, records)}
	e, dst := newEncoder(), []byte(nil)
	b.SetBytes(int64(len(packets[0].Body)))
	b.ReportAllocs()
	for b.Loop() {
		dst = e.append(dst[:0], packets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
