package loki

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

const base = "loki+http://one:3100"

// line is an entry with the labels of its stream.
type line struct {
	labels   string
	at       int64
	text     string
	metadata []string // name=value
}

func (l line) meta(name string) string {
	for _, pair := range l.metadata {
		if value, found := strings.CutPrefix(pair, name+"="); found {
			return value
		}
	}
	return ""
}

// fields calls visit with the fields of a message, which have the types that are expected.
func fields(t testing.TB, message []byte, visit func(number protowire.Number, content []byte, varint uint64)) {
	t.Helper()
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		var content []byte
		var varint uint64
		switch kind {
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(message)
		default:
			t.Fatalf("the field %d has the type %d", number, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		visit(number, content, varint)
	}
}

var selector = regexp.MustCompile(`^\{[a-z_][a-z_0-9]*="(\\.|[^"\\])*"(, [a-z_0-9]+="(\\.|[^"\\])*")*\}$`)

// lines decodes a push without the code that encodes it.
func lines(t testing.TB, r httpsinktest.Request) (all []line) {
	t.Helper()
	if r.Path != "/loki/api/v1/push" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("%s %v", r.Path, r.Header)
	}
	push, err := unsnappy([]byte(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	fields(t, push, func(number protowire.Number, stream []byte, _ uint64) {
		if number != 1 {
			t.Errorf("the field %d of a push", number)
		}
		labels := ""
		fields(t, stream, func(number protowire.Number, content []byte, _ uint64) {
			switch number {
			case 1:
				if labels = string(content); !selector.MatchString(labels) {
					t.Errorf("labels %s", labels)
				}
			case 2:
				all = append(all, entryOf(t, labels, content))
			default:
				t.Errorf("the field %d of a stream", number)
			}
		})
	})
	return all
}

func entryOf(t testing.TB, labels string, content []byte) line {
	t.Helper()
	one := line{labels: labels}
	fields(t, content, func(number protowire.Number, content []byte, _ uint64) {
		switch number {
		case 1:
			fields(t, content, func(number protowire.Number, _ []byte, varint uint64) {
				one.at += int64(varint) * map[protowire.Number]int64{1: 1e9, 2: 1}[number]
			})
		case 2:
			one.text = string(content)
		case 3:
			var pair [3]string
			fields(t, content, func(number protowire.Number, content []byte, _ uint64) { pair[number] = string(content) })
			one.metadata = append(one.metadata, pair[1]+"="+pair[2])
		default:
			t.Errorf("the field %d of an entry", number)
		}
	})
	return one
}

var stored = httpsinktest.Always(httpsinktest.Response{Status: 204})

func TestSink(t *testing.T) {
	httpsinktest.Conform(t, base, Backend, stored, func(r httpsinktest.Request) (ids []string) {
		for _, one := range lines(t, r) {
			ids = append(ids, one.meta("packet_id"))
		}
		return ids
	})
}

// sent returns what a Loki with options gets of packets.
func sent(t *testing.T, options string, bodies ...string) []line {
	t.Helper()
	server := httpsinktest.NewServer(stored)
	s := httpsinktest.Open(t, server, base+options, Backend)
	conn := s.NewConn()
	defer conn.Close()
	var all []line
	for _, body := range bodies {
		if r := httpsinktest.Send(t, s, httpsinktest.Packet(t, body)); r.Outcome != sink.Delivered {
			t.Fatal(r)
		}
	}
	for _, r := range server.Requests() {
		all = append(all, lines(t, r)...)
	}
	return all
}

func TestTranslation(t *testing.T) {
	got := fmt.Sprintf("%+v", sent(t, "", httpsinktest.Rich))
	want := fmt.Sprintf("%+v", []line{
		{`{level="INFO", service_name="shop"}`, 1640995200123456789, "first \"line\"\n", []string{
			"emitter_id=shop/web-1", "packet_id=p", "a=2", "attributes.level=x", "trace_id=0102", "n=7", "otel.scope.name=s", "otel.scope.version=1", "otel.scope.x=true",
			"host.name=web-1", "resource.a=9",
		}},
		{`{level="unknown", service_name="shop"}`, 1640995200123000001, "second \ufffd", []string{
			"emitter_id=shop/web-1", "packet_id=p", "level=odd", "time_unix_nano=0", "host.name=web-1", "a=9",
		}},
	})
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Lengths are right, whatever number of bytes they take, and with escapes.
func TestLengths(t *testing.T) {
	for _, length := range []int{1, 60, 100, 126, 127, 128, 129, 16_200, 16_383, 16_384, 300_000} {
		text, escaped := strings.Repeat("x", length-1)+"\n", strings.Repeat("x", length-1)+`\n`
		body := fmt.Sprintf(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"%s","metadata":{"%s":"%s"}}]}`, escaped, escaped, escaped)
		got := sent(t, "", body)[0]
		if got.text != text || got.meta(text) != text || len(got.metadata) != 4 {
			t.Errorf("%d: %d, %d", length, len(got.text), len(got.metadata))
		}
	}
}

func TestLabels(t *testing.T) {
	const body = `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"warn","message":"m","metadata":{"k8s.pod":"a\"b","9x":"y","empty":"","long":"LONG"}}]}`
	got := sent(t, "?label=k8s.pod&label=9x&label=empty&label=long&label=none", strings.Replace(body, "LONG", strings.Repeat("x", 3000), 1))[0]
	if got.labels != `{_9x="y", k8s_pod="a\"b", level="warn", service_name="e"}` || len(got.meta("long")) != 3000 || got.meta("k8s.pod") != "" {
		t.Errorf("%s %q", got.labels, got.metadata)
	}
}

// A service that is too long for a label stays in the metadata.
func TestLongService(t *testing.T) {
	long := strings.Repeat("s", maxLabelBytes+1)
	const body = `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"warn","message":"m","metadata":{"service.name":"LONG"}}]}`
	got := sent(t, "", strings.Replace(body, "LONG", long, 1))[0]
	if got.labels != `{level="warn"}` || got.meta("service.name") != long {
		t.Errorf("%s %q", got.labels, got.metadata)
	}
}

// Entries of one stream stay in order, and equal lines with equal times are distinguished.
func TestOrder(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"emitter_id":"e","packet_id":"p","messages":[`)
	for i := range 100 {
		fmt.Fprintf(&body, `{"timestamp":5,"level":"%s","message":"same"},`, []string{"INFO", "ERROR", "INFO"}[i%3])
	}
	got := sent(t, "", strings.TrimSuffix(body.String(), ",")+"]}")
	streams := make(map[string]int64)
	for _, one := range got {
		if one.at <= streams[one.labels] || one.at/1e6 != 5 {
			t.Fatalf("%d after %d", one.at, streams[one.labels])
		}
		streams[one.labels] = one.at
	}
	if len(got) != 100 || len(streams) != 2 {
		t.Errorf("%d entries of %d streams", len(got), len(streams))
	}
}

// With clamp=now the times that Loki refuses become that of the acceptance; a retry
// is the same.
func TestClamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		at := func(age time.Duration) int64 { return now.Add(-age).UnixMilli() }
		body := fmt.Sprintf(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":%d,"level":"l","message":"old"},{"timestamp":%d,"level":"l","message":"fine"},`+
			`{"timestamp":%d,"level":"l","message":"future"}]}`, at(8*24*time.Hour), at(6*24*time.Hour), at(-time.Hour))
		server := httpsinktest.NewServer(stored)
		s := httpsinktest.Open(t, server, base+"?clamp=now", Backend)
		p := httpsinktest.Packet(t, body)
		for range 2 {
			httpsinktest.Send(t, s, p)
			time.Sleep(10 * time.Minute)
		}
		requests := server.Requests()
		got := lines(t, requests[0])
		accepted := now.UnixMilli() * 1e6
		if got[0].at != accepted || got[0].meta(originalTime) != fmt.Sprint(at(8*24*time.Hour)*1e6) || got[1].at != at(6*24*time.Hour)*1e6+1 || got[1].meta(originalTime) != "" ||
			got[2].at != accepted+2 || got[2].meta(originalTime) != fmt.Sprint(at(-time.Hour)*1e6+2) {
			t.Errorf("%+v", got)
		}
		if requests[0].Body != requests[1].Body {
			t.Error("the retry differs")
		}
		time.Sleep(30 * 24 * time.Hour) // as in a journal
		httpsinktest.Send(t, s, p)
		if late := lines(t, server.Requests()[2]); late[0].at != time.Now().UnixMilli()*1e6 {
			t.Errorf("%+v", late[0])
		}
	})
	if got := sent(t, "", `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"old"}]}`); got[0].at != 1e6 {
		t.Errorf("without the option: %+v", got)
	}
}

func TestOptions(t *testing.T) {
	for options, want := range map[string]string{
		"label=level":                     `the option "label" is "level"`,
		"label=service.name":              `the option "label" is "service.name"`,
		"label=":                          `the option "label" is ""`,
		"label=a%00":                      "",
		"label=a&label=b&label=c&label=d": "",
		"label=" + strings.Join(strings.Split("abcdefghijklmn", ""), "&label="): "occurs 14 times",
		"clamp=yes": `the option "clamp" is "yes": it must be one of off, now`,
		"gzip=on":   `there is no option "gzip"`,
	} {
		endpoint, err := sink.ParseURL(base + "?" + options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := httpsink.Parse(endpoint, Backend); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", options, err, want)
		}
	}
}

func TestTenant(t *testing.T) {
	server := httpsinktest.NewServer(stored)
	httpsinktest.Send(t, httpsinktest.Open(t, server, base+"?tenant=team", Backend), httpsinktest.Packet(t, httpsinktest.Rich))
	if got := server.Requests()[0].Header.Get("X-Scope-OrgID"); got != "team" {
		t.Errorf("%q", got)
	}
}

func TestProbe(t *testing.T) { httpsinktest.Probes(t, base, Backend, "GET", "/ready") }

func TestResponses(t *testing.T) {
	misconfigured := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Misconfigured}
	httpsinktest.Responses(t, base, Backend, map[string]httpsinktest.Expected{
		"204 ":                       {Outcome: sink.Delivered},
		"260 ingestion blocked":      misconfigured,
		"400 entry too far behind":   {Outcome: sink.Rejected, Reason: sink.Malformed},
		"401 no org id":              misconfigured,
		"404 ":                       misconfigured,
		"413 ":                       {Outcome: sink.Rejected, Reason: sink.TooLarge},
		"429 rate limit":             {Outcome: sink.Throttled, Reason: sink.NotNow},
		"500 ":                       {Outcome: sink.Failed, Reason: sink.Status},
		"503 Retry-After: 5\r\nbusy": {Outcome: sink.Throttled, Reason: sink.NotNow},
		"503 ":                       {Outcome: sink.Failed, Reason: sink.Status},
	})
}

func TestRepeat(t *testing.T) { httpsinktest.Repeats(t, base, Backend) }

func BenchmarkEncode(b *testing.B) { httpsinktest.Benchmark(b, Backend) }
