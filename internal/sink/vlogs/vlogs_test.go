package vlogs

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

const base = "vlogs+http://one:9428"

// lines returns the lines of a request as VictoriaLogs reads them.
func lines(t testing.TB, r httpsinktest.Request) (all []map[string]string) {
	t.Helper()
	query, err := url.ParseQuery(r.Query)
	if err != nil || r.Path != "/insert/jsonline" || r.Header.Get("Content-Type") != "application/stream+json" ||
		query.Get("_stream_fields") != "emitter_id" || query.Get("_msg_field") != "_msg" || query.Get("_time_field") != "_time" {
		t.Errorf("%s?%s %v", r.Path, r.Query, r.Header)
	}
	for line := range strings.Lines(r.Body) {
		var one map[string]string
		if err := json.Unmarshal([]byte(line), &one); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

func TestSink(t *testing.T) {
	httpsinktest.Conform(t, base, Backend, httpsinktest.Always(httpsinktest.Response{}), func(r httpsinktest.Request) (ids []string) {
		for _, one := range lines(t, r) {
			ids = append(ids, one["packet_id"])
		}
		return ids
	})
}

func TestTranslation(t *testing.T) {
	p := httpsinktest.Packet(t, httpsinktest.Rich)
	codec := Backend(nil).NewCodec()
	var r httpsink.Request
	codec.Encode(&r, []*packet.Packet{p})
	want := `{"_time":"2022-01-01T00:00:00.123456789Z","_msg":"first \"line\"\n","level":"INFO","emitter_id":"shop/web-1","packet_id":"p","a":"2","attributes.level":"x","trace_id":"0102","n":"7","otel.scope.name":"s","otel.scope.version":"1","otel.scope.x":"true","service.name":"shop","host.name":"web-1","resource.a":"9"}
{"_time":"2022-01-01T00:00:00.123Z","_msg":"second �","level":"odd","emitter_id":"shop/web-1","packet_id":"p","time_unix_nano":"0","service.name":"shop","host.name":"web-1","a":"9"}
`
	if string(r.Body) != want {
		t.Errorf("%s\nwant\n%s", r.Body, want)
	}
}

func TestProbe(t *testing.T) { httpsinktest.Probes(t, base, Backend, "GET", "/insert/ready") }

func TestResponses(t *testing.T) {
	httpsinktest.Responses(t, base, Backend, map[string]httpsinktest.Expected{
		"200": {Outcome: sink.Delivered}, "400": {Outcome: sink.Rejected, Reason: sink.Malformed}, "404": {Outcome: sink.Failed, Reason: sink.Misconfigured},
		"429": {Outcome: sink.Throttled, Reason: sink.NotNow}, "503": {Outcome: sink.Failed, Reason: sink.Status},
	})
}

// A retry is byte for byte the same.
func TestRepeat(t *testing.T) { httpsinktest.Repeats(t, base, Backend) }

func BenchmarkEncode(b *testing.B) { httpsinktest.Benchmark(b, Backend) }
