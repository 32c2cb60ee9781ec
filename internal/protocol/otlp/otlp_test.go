package otlp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

const token = "0123456789abcdef"

type fixture struct {
	testing.TB
	journal  *memory.Journal
	in       *intake.Intake
	receiver *receiver.Receiver
	protocol *HTTP
	// origins is whether packets keep their origins, and defers whether they need no body then.
	origins, defers bool
}

// newFixture returns the protocol before an intake; with tokens emitters web* may send.
func newFixture(t testing.TB, tokens bool) *fixture {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 1000}, logger, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{TB: t, journal: memory.New(memory.Config{QueuePackets: 100_000, LimitBytes: 1 << 30})}
	var reasons []string
	for _, code := range problem.Refusals() {
		reasons = append(reasons, string(code))
	}
	f.in = intake.New(intake.Config{MemoryBytes: 256 << 20, Ack: intake.AckQueued, Mode: intake.ModeOpen}, intake.Dependencies{
		Journal: f.journal, Pool: new(packet.Pool), Accepting: func() bool { return true }, InputDuplicates: window,
		RetryAfter: func(intake.Reason) time.Duration { return 30 * time.Second }, Logger: logger, ProtocolReasons: reasons,
	})
	metrics, err := receiver.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	deps := receiver.Dependencies{Intake: f.in, Metrics: metrics, Logger: logger, KeepsOrigins: func() bool { return f.origins }, DefersBodies: func() bool { return f.defers }, InMemory: true, Limits: func() record.Limits { return record.Limits{Bytes: 1 << 20, Messages: 1000} }}
	if tokens {
		set, err := credential.Parse(fmt.Appendf(nil, "web sha256:%x emitters=web*,value-*\n", sha256.Sum256([]byte(token))), credential.Emitters)
		if err != nil {
			t.Fatal(err)
		}
		deps.Tokens = func() *credential.Set { return set }
	}
	s, err := receiver.NewService(receiver.DefaultConfig(), deps)
	if err != nil {
		t.Fatal(err)
	}
	f.receiver = s.Receiver("otlp-http", "otlp")
	f.protocol = NewHTTP(f.receiver)
	return f
}

// do handles a request of a method to a path.
func (f *fixture) do(method, target, contentType, body string, fields ...string) http1.Response {
	f.Helper()
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n", method, target, contentType, len(body))
	for _, field := range fields {
		text += field + "\r\n"
	}
	head, err := http1.Parse([]byte(text+"\r\n"), 8<<10)
	if err != nil {
		f.Fatal(err)
	}
	var response http1.Response
	r := server.NewRequest(&head, strings.NewReader(body), netip.MustParseAddr("192.0.2.1"), time.Now())
	if !f.protocol.Handle(r, &response) {
		response.Status = http.StatusNotFound
	}
	return response
}

func (f *fixture) post(body string, fields ...string) http1.Response {
	f.Helper()
	return f.do("POST", "/v1/logs", "application/json", body, fields...)
}

type logMessage struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Message   string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
	Types     map[string]string `json:"types"`
	BodyType  string            `json:"body_type"`
	Scope     *int              `json:"scope"`
}

type decoded struct {
	EmitterID string       `json:"emitter_id"`
	PacketID  string       `json:"packet_id"`
	Messages  []logMessage `json:"messages"`
}

// accepted takes the packets that were accepted, checked.
func (f *fixture) accepted() (all []decoded) {
	f.Helper()
	packets, err := f.journal.Fetch(context.Background(), nil, 100_000)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range packets {
		p.Complete()
		info, err := packet.Check(p.Body, 1000)
		if err != nil || info != p.Info {
			f.Fatalf("%v: the packet has %+v, and Check says %+v: %.300s", err, p.Info, info, p.Body)
		}
		var d decoded
		if err := json.Unmarshal(p.Body, &d); err != nil {
			f.Fatal(err)
		}
		all = append(all, d)
	}
	f.journal.Ack(packets)
	return all
}

// one posts a record with a resource and returns its packet.
func (f *fixture) one(resource, record string) decoded {
	f.Helper()
	body := fmt.Sprintf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[%s]}],"resource":%s}]}`, record, resource)
	if response := f.post(body); response.Status != 200 || string(response.Body) != "{}" {
		f.Fatalf("%s: %d %s", body, response.Status, response.Body)
	}
	all := f.accepted()
	if len(all) != 1 || len(all[0].Messages) != 1 {
		f.Fatalf("%s: %+v", body, all)
	}
	return all[0]
}

func attributes(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, `,{"key":%q,"value":%s}`, pairs[i], pairs[i+1])
	}
	return `"attributes":[` + strings.TrimPrefix(b.String(), ",") + `]`
}

func text(s string) string { return fmt.Sprintf(`{"stringValue":%q}`, s) }

func TestEmitters(t *testing.T) {
	f := newFixture(t, false)
	for want, pairs := range map[string][]string{
		"192.0.2.1": {"host.name", `{"intValue":7}`},
		"s":         {"service.name", text("s")},
		"n.s/i":     {"service.instance.id", text("i"), "host.name", text("h"), "service.name", text("s"), "service.namespace", text("n")},
		"s/p":       {"service.name", text("s"), "host.name", text("h"), "k8s.pod.name", text("p")},
		"h":         {"container.id", text("c"), "host.name", text("h")},
		"s/c":       {"container.id", text("c"), "service.name", text("s")},
	} {
		if got := f.one("{"+attributes(pairs...)+"}", `{"timeUnixNano":"1"}`).EmitterID; got != want {
			t.Errorf("%v: the emitter is %q, want %q", pairs, got, want)
		}
	}
}

func TestLevels(t *testing.T) {
	f := newFixture(t, false)
	for record, want := range map[string]string{
		`"severityNumber":1`: "TRACE", `"severityNumber":4`: "TRACE", `"severityNumber":5`: "DEBUG", `"severityNumber":9`: "INFO",
		`"severityNumber":10`: "NOTICE", `"severityNumber":12`: "NOTICE", `"severityNumber":13`: "WARN", `"severityNumber":16`: "WARN",
		`"severityNumber":17`: "ERROR", `"severityNumber":18`: "CRITICAL", `"severityNumber":20`: "CRITICAL", `"severityNumber":21`: "FATAL",
		`"severityNumber":24,"severityText":"x"`: "FATAL", `"severityText":"warning"`: "WARN", `"severityText":"odd"`: "odd",
		`"severityNumber":25`: "INFO", `"body":null`: "INFO", `"severityNumber":"SEVERITY_NUMBER_WARN2"`: "WARN",
	} {
		if got := f.one("{}", "{"+record+"}").Messages[0].Level; got != want {
			t.Errorf("%s: the level is %q, want %q", record, got, want)
		}
	}
}

func TestMessage(t *testing.T) {
	f := newFixture(t, false)
	got := f.one("{"+attributes("service.name", text("s"), "host.name", text("h"), "other", text("o"))+"}", `{"unknown":[{"x":null}],
		"timeUnixNano":"1700000000123456789","observedTimeUnixNano":1700000001000000000,"severityNumber":9,"severityText":"Information",
		"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","flags":1,"eventName":"e","droppedAttributesCount":2,
		"body":{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{"doubleValue":1},{"intValue":"2"},{"boolValue":true},{}]}}}]}},`+
		attributes("a", text("x\ny"), "i", `{"intValue":9007199254740993}`, "d", `{"doubleValue":1.5}`, "b", `{"boolValue":false}`,
			"x", `{"bytesValue":"AQI="}`, "n", `{}`, "j", `{"arrayValue":{"values":[{"stringValue":"v"}]}}`,
			"o", `{"arrayValue":{"values":[{"bytesValue":"AQI="}]}}`, "trace_id", text("mine"), "service.name", text("mine"))+"}").Messages[0]
	want := map[string]string{
		"time_unix_nano": "1700000000123456789", "observed_time_unix_nano": "1700000001000000000", "severity_number": "9", "severity_text": "Information",
		"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174", "trace_flags": "1", "event_name": "e",
		"otel.dropped_attributes_count": "2", "input": "otlp", "service.name": "s", "host.name": "h",
		"a": "x\ny", "i": "9007199254740993", "d": "1.5", "b": "false", "x": "AQI=", "n": "", "j": `["v"]`,
		"o": `{"arrayValue":{"values":[{"bytesValue":"AQI="}]}}`, "attributes.trace_id": "mine", "attributes.service.name": "mine",
	}
	if !maps.Equal(got.Metadata, want) {
		t.Errorf("the metadata is %q, want %q", got.Metadata, want)
	}
	if types := map[string]string{"i": "i", "d": "d", "b": "b", "x": "x", "n": "n", "j": "j", "o": "o"}; !maps.Equal(got.Types, types) {
		t.Errorf("the types are %q, want %q", got.Types, types)
	}
	if got.Message != `{"k":[1.0,2,true,null]}` || got.BodyType != "j" || got.Timestamp != 1700000000123 || got.Level != "INFO" {
		t.Errorf("%+v", got)
	}
}

func TestTimestamps(t *testing.T) {
	f := newFixture(t, false)
	for record, want := range map[string]struct {
		timestamp int64
		kept      string
	}{
		`"timeUnixNano":"1700000000123000000"`:      {1700000000123, ""},
		`"timeUnixNano":1700000000123000000`:        {1700000000123, ""},
		`"timeUnixNano":"1700000000123000001"`:      {1700000000123, "1700000000123000001"},
		`"observedTimeUnixNano":"1700000000123999"`: {1700000000, "0"},
		`"timeUnixNano":"999999"`:                   {0, "999999"},
		`"timeUnixNano":0`:                          {0, "0"},
	} {
		before := time.Now().UnixMilli()
		got := f.one("{}", "{"+record+"}").Messages[0]
		if kept := got.Metadata["time_unix_nano"]; kept != want.kept {
			t.Errorf("%s: kept is %q, want %q", record, kept, want.kept)
		}
		if got.Timestamp != want.timestamp && (want.timestamp != 0 || got.Timestamp < before) {
			t.Errorf("%s: the timestamp is %d, want %d", record, got.Timestamp, want.timestamp)
		}
	}
}

// A request that is repeated is recognised if its records have timestamps.
func TestIDs(t *testing.T) {
	f := newFixture(t, false)
	for record, want := range map[string]int{`{"timeUnixNano":"1"}`: 2, `{"timeUnixNano":"1700000000000000000"}`: 1, `{"observedTimeUnixNano":"1700000000000000000"}`: 1} {
		body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + record + `]}]}]}`
		for range 2 {
			if response := f.post(body); response.Status != 200 {
				t.Fatalf("%d %s", response.Status, response.Body)
			}
		}
		if got := len(f.accepted()); got != want {
			t.Errorf("%s twice: %d packets, want %d", record, got, want)
		}
	}
}

func TestResponses(t *testing.T) {
	f := newFixture(t, false)
	for _, empty := range []string{"{}", `{"resourceLogs":[]}`, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[]}]}]}`} {
		if response := f.post(empty); response.Status != 200 || string(response.Body) != "{}" || response.ContentType != "application/json" {
			t.Errorf("%s: %+v", empty, response)
		}
	}
	if response := f.do("POST", "/v1/logs", "application/x-protobuf", ""); response.Status != 200 || len(response.Body) != 0 || response.ContentType != "application/x-protobuf" {
		t.Errorf("an empty message: %+v", response)
	}
	for name, tt := range map[string]struct {
		response   http1.Response
		status     int
		wantInBody string
	}{
		"GET":              {f.do("GET", "/v1/logs", "", ""), 405, `"code":12`},
		"another path":     {f.do("POST", "/v1/traces", "application/json", ""), 404, ""},
		"a media type":     {f.do("POST", "/v1/logs", "text/plain", ""), 415, `"code":3`},
		"a coding":         {f.post("{}", "Content-Encoding: br"), 415, `"code":3`},
		"no JSON":          {f.post("{"), 400, `"code":3`},
		"a wrong type":     {f.post(`{"resourceLogs":7}`), 400, `"code":3`},
		"an odd id":        {f.post(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"abc"}]}]}]}`), 400, `"code":3`},
		"deep JSON":        {f.post(strings.Repeat(`{"x":`, 1_000_000)), 400, `"code":3`},
		"no protobuf":      {f.do("POST", "/v1/logs", "application/x-protobuf", "\x0a\x7f"), 400, "\x08\x03\x12"},
		"cut off protobuf": {f.do("POST", "/v1/logs", "application/x-protobuf", "\x0a\x06\x12\x04\x12\x02\x2a\x09"), 400, "\x08\x03\x12"},
	} {
		if tt.response.Status != tt.status || !strings.Contains(string(tt.response.Body), tt.wantInBody) {
			t.Errorf("%s: %d %q", name, tt.response.Status, tt.response.Body)
		}
	}
	if held := f.in.Memory().Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// Records that are invalid are reported, and the others are accepted.
func TestPartialSuccess(t *testing.T) {
	f := newFixture(t, false)
	deep := strings.Repeat(`{"arrayValue":{"values":[`, 66) + "{}" + strings.Repeat("]}}", 66)
	large := `{"body":{"stringValue":"` + strings.Repeat("x", 1<<20) + `"}}`
	body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + deep + `},{"timeUnixNano":"1"},` + large + `]}]},` +
		`{"resource":{` + attributes("large", text(strings.Repeat("x", maxHeadBytes))) + `},"scopeLogs":[{"logRecords":[{},{}]}]}]}`
	response := f.post(body)
	if response.Status != 200 || !strings.HasPrefix(string(response.Body), `{"partialSuccess":{"rejectedLogRecords":"4","errorMessage":"a value is nested`) {
		t.Errorf("%d %s", response.Status, response.Body)
	}
	if all := f.accepted(); len(all) != 1 || len(all[0].Messages) != 1 {
		t.Errorf("%+v", all)
	}
	request, err := otlp.AppendRequest(nil, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	response = f.do("POST", "/v1/logs", "application/x-protobuf", string(request))
	if response.Status != 200 || !strings.HasPrefix(string(response.Body[2:]), "\x08\x04\x12") {
		t.Errorf("%d %q", response.Status, response.Body)
	}
}

// Attributes take more memory than the bytes that they arrive in, so there is a maximum for a record,
// for a scope and for a resource.
func TestMaxAttributes(t *testing.T) {
	f := newFixture(t, false)
	with := func(tag byte, attributes int) string { return strings.Repeat(string([]byte{tag, 0}), attributes) }
	field := func(tag byte, text string) string {
		return string(protobuf.AppendText(nil, tag, []byte(text)))
	}
	scoped := func(scope, record string) string {
		return field(otlp.ResourceLogsScopeLogs, field(otlp.ScopeLogsScope, scope)+field(otlp.ScopeLogsLogRecords, record))
	}
	const over = maxAttributes + 1
	for name, logs := range map[string]string{
		"record":   scoped("", with(otlp.RecordAttributes, maxAttributes)) + scoped("", with(otlp.RecordAttributes, over)),
		"scope":    scoped(with(otlp.ScopeAttributes, over), "") + scoped("", ""),
		"resource": field(otlp.ResourceLogsResource, with(otlp.ResourceAttributes, over)) + scoped("", ""),
	} {
		answer := f.do("POST", "/v1/logs", "application/x-protobuf", field(otlp.RequestResourceLogs, logs))
		_, partial, _ := strings.Cut(string(answer.Body), "\x08") // rejected_log_records
		if answer.Status != 200 || !strings.HasPrefix(partial, "\x01") || !strings.Contains(partial, "more than 65536 attributes") {
			t.Errorf("%s: %d %q", name, answer.Status, answer.Body)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t, true)
	record := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}],"resource":{` + attributes("service.name", text("other")) + `}}]}`
	if response := f.post(record); response.Status != 401 || !strings.Contains(string(response.Body), `"code":16`) || response.Authenticate != "Bearer" {
		t.Errorf("without a token: %+v", response)
	}
	if response := f.post(record, "Authorization: Bearer "+token); response.Status != 403 || !strings.Contains(string(response.Body), `"code":7`) {
		t.Errorf("with the token of others: %d %s", response.Status, response.Body)
	}
	if response := f.post(strings.Replace(record, "other", "web", 1), "Authorization: Bearer "+token); response.Status != 200 {
		t.Errorf("with the token: %d %s", response.Status, response.Body)
	}
	for _, tt := range []struct {
		problem problem.Problem
		want    refusal
	}{
		{problem.Problem{Code: problem.Overloaded, RetryAfter: 30}, refusal{503, unavailable, 5}},
		{problem.Problem{Code: problem.Paused}, refusal{503, unavailable, 1}},
		{problem.Problem{Code: problem.RateLimited, RetryAfter: 3}, refusal{429, resourceExhausted, 3}},
		{problem.Problem{Code: problem.SlowRequest}, refusal{503, unavailable, 1}},
		{problem.Problem{Code: problem.AckTimeout}, refusal{503, unavailable, 1}},
		{problem.Problem{Code: problem.TooLarge}, refusal{413, invalidArgument, 0}},
	} {
		if got := refusalOf(&tt.problem); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.problem.Code, got, tt.want)
		}
	}
}

// A request that fails in the middle leaves no state for the next.
func TestFailedRequestLeavesNoState(t *testing.T) {
	f := newFixture(t, false)
	good := otlpRequest(1)
	broken := append(append([]byte{}, good...), "\x0a\x04\x12\x02\x12\x7f"...)
	if response := f.do("POST", "/v1/logs", "application/x-protobuf", string(broken)); response.Status != 400 {
		t.Errorf("%d %q", response.Status, response.Body)
	}
	if response := f.do("POST", "/v1/logs", "application/x-protobuf", string(good)); response.Status != 200 {
		t.Errorf("%d %q", response.Status, response.Body)
	}
	if all := f.accepted(); len(all) != 1 || len(all[0].Messages) != 1 {
		t.Errorf("%+v", all)
	}
}
