package loki

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

const (
	jsonType     = "Content-Type: application/json"
	protobufType = "Content-Type: application/x-protobuf"
	push         = "POST /loki/api/v1/push"
	// second is the time of the tests' records, in seconds since 1970.
	second = "1700000000"
)

// messages returns what a push in JSON becomes.
func messages(t *testing.T, body string) (int, string) {
	t.Helper()
	s := new(protocoltest.System).Start(t, "loki")
	response, _ := s.Do(New(s.Receiver), push, body, jsonType)
	if response.Status != http.StatusNoContent {
		return response.Status, string(response.Body)
	}
	return response.Status, s.NewText()
}

func TestJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"streams":[{"stream":{"service_name":"s","pod":"p","level":"warn"},"values":[["1700000000000000000","one"],["1700000000000000001","two",{"trace_id":"t","n":5}]]}]}`: `
s/p: 1700000000000 WARN one {input=loki level=warn pod=p service_name=s}
s/p: 1700000000000 WARN two {attributes.trace_id=t input=loki level=warn n=5(i) pod=p service_name=s time_unix_nano=1700000000000000001}`,
		// A stream for each line, labels that are no strings, numbers of pino.
		`{"streams":[{"stream":{"application":"a","level":30,"x":true},"values":[["1700000000000000000","one"]]},{"stream":{"application":"a","level":"50"},"values":[["1700000000000000000","two"]]}]}`: `
a: 1700000000000 INFO one {application=a input=loki level=30(i) x=true(b)}
a: 1700000000000 ERROR two {application=a input=loki level=50}`,
		// The rank of labels is not their order.
		`{"streams":[{"stream":{"job":"j","app":"a","host":"h","instance":"i","service_name":""},"values":[["1700000000000000000","m"]]}]}`: `
a/i: 1700000000000 INFO m {app=a host=h input=loki instance=i job=j service_name=}`,
		`{"streams":[{"stream":{},"values":[["0","m"],["1700000000000000000","",{"detected_level":"critical","status":"error"}]]}]}`: `
192.0.2.1: NOW INFO m {input=loki time_unix_nano=0}
192.0.2.1: 1700000000000 CRITICAL (empty) {body_empty=true detected_level=critical input=loki status=error}`,
		// The level of a line that is a JSON object.
		`{"streams":[{"values":[["1700000000000000000","{\"level\":50,\"msg\":\"m\"}"],[1700000000000000000,"{no JSON"]],"stream":{"status":"200"}}]}`: `
192.0.2.1: 1700000000000 ERROR {"level":50,"msg":"m"} {input=loki severity_text=50 status=200}
192.0.2.1: 1700000000000 INFO {no JSON {input=loki status=200}`,
		`{"streams":[{"stream":{"level":"own"},"values":[["1700000000000000000",{"a": 1}]]}]}`: `
192.0.2.1: 1700000000000 own {"a":1} j {input=loki level=own}`,
		`{"stre\u0061ms":[{"str\u0065am":{"app":"a"},"v\u0061lues":[["1700000000000000000","m"]]}]}`: `
a: 1700000000000 INFO m {app=a input=loki}`,
		`{"streams":[]}`:                "\n",
		` {"streams":[{"stream":{}}]} `: "\n",
		// Names and values are found however they are escaped.
		`{"streams":[{"stream":{"\u0061pp":5,"ho\u0073t":"h\u0031"},"values":[["1700000000000000000","one"],["1700000000000000000","two",{"l\u0065vel":"w\u0061rn"}]]}]}`: `
5/h1: 1700000000000 INFO one {app=5(i) host=h1 input=loki}
5/h1: 1700000000000 WARN two {app=5(i) host=h1 input=loki level=warn}`,
		`{"streams":[{"stream":{"\u0061pp":"\u0061","l\u0065vel":50},"values":[["1700000000000000000","m"]]}]}`: `
a: 1700000000000 ERROR m {app=a input=loki level=50(i)}`,
		`{"streams":[{"stream":{"\u0061pp":"\u0061"},"values":[["1700000000000000000","\u007b\"level\":50}"]]}]}`: `
a: 1700000000000 ERROR {"level":50} {app=a input=loki severity_text=50}`,
	} {
		status, got := messages(t, body)
		if at := strings.Index(want, "NOW"); at >= 0 {
			got = got[:at-1] + "NOW" + got[at-1+len("1700000000000"):]
		}
		if status != http.StatusNoContent || "\n"+got != want {
			t.Errorf("%s\n%d, got\n%s\nwant%s", body, status, got, want)
		}
	}
}

func TestMalformedJSON(t *testing.T) {
	const start, end = `{"streams":[{"stream":{},"values":[`, `]}]}`
	for _, body := range []string{
		``, `x`, `[]`, `{}`, `{"streams":{}}`, `{"streams":[1]}`, `{"streams":[{"stream":"{a=1}"}]}`, `{"streams":[{"values":{}}]}`, `{"streams":[]}{}`, `{"streams":[{}]}`,
		`{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"2023-11-14T22:13:20Z","line":"m"}]}]}`,
		start + `1` + end, start + `[]` + end, start + `["1"]` + end, start + `["1","m",5]` + end, start + `["1","m",{},1]` + end,
		start + `["now","m"]` + end, start + `["-1","m"]` + end, start + `["1.5","m"]` + end, start + `["99999999999999999999","m"]` + end,
		strings.Repeat("[", 1<<16),
	} {
		if status, text := messages(t, body); status != http.StatusBadRequest || strings.Count(text, "\n") != 1 {
			t.Errorf("%.80s: %d %s", body, status, text)
		}
	}
}

func TestProtobuf(t *testing.T) {
	message := pushOf(
		streamOf(`{service_name="s", instance="i\n\"1\"", level="error"}`,
			entryOf(1700000000, 5, "one", "k", "v"), entryOf(1700000001, 0, "a\xffb")),
		streamOf("{`x`=`y`,}", entryOf(1700000000, 0, "", "level", "debug")),
		streamOf("{}"))
	const want = `s/i
"1": 1700000000000 ERROR one {input=loki instance=i
"1" k=v level=error service_name=s time_unix_nano=1700000000000000005}
s/i
"1": 1700000001000 ERROR a` + "\uFFFD" + `b {input=loki instance=i
"1" invalid_utf8=true level=error service_name=s}
192.0.2.1: 1700000000000 DEBUG (empty) {body_empty=true input=loki level=debug x=y}`
	s := new(protocoltest.System).Start(t, "loki")
	p := New(s.Receiver)
	for name, c := range map[string]struct {
		body   string
		fields []string
	}{
		"block":              {string(snappy.Encode(nil, message)), []string{protobufType}},
		"without a type":     {string(snappy.Encode(nil, message)), nil},
		"with its coding":    {string(snappy.Encode(nil, message)), []string{protobufType, "Content-Encoding: snappy", "X-Scope-OrgID: 1"}},
		"plain with a space": {string(snappy.Encode(nil, message)), []string{"Content-Type: application/x-protobuf ; x=y", "X-Scope-OrgID: 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			response, _ := s.Do(p, push, c.body, c.fields...)
			// The second one is a duplicate of the first one.
			if got := s.NewText(); response.Status != http.StatusNoContent || got != want && got != "" {
				t.Errorf("%d %s, got\n%s\nwant\n%s", response.Status, response.Body, got, want)
			}
		})
	}
	if ids := s.PacketIDs(); len(ids) != 6 { // two packets for each tenant
		t.Errorf("the packets are %q", ids)
	}
}

func TestMalformedProtobuf(t *testing.T) {
	s := new(protocoltest.System).Start(t, "loki")
	p := New(s.Receiver)
	entry := entryOf(1, 0, "m")
	for name, body := range map[string][]byte{
		"no snappy":          []byte("hello"),
		"bomb":               append([]byte("\xff\xff\xff\x0f"), make([]byte, 100)...),
		"truncated":          encode(pushOf(streamOf("{}", entry))[:8]),
		"group":              encode([]byte{1<<3 | 3}),
		"labels":             encode(pushOf(streamOf("a=b", entry))),
		"no value":           encode(pushOf(streamOf(`{a=}`, entry))),
		"an open value":      encode(pushOf(streamOf(`{a="}`, entry))),
		"two without commas": encode(pushOf(streamOf(`{a="b" c="d"}`, entry))),
		"negative":           encode(pushOf(streamOf("{}", entryOf(-1, 0, "m")))),
		"nanoseconds":        encode(pushOf(streamOf("{}", entryOf(1, 1e9, "m")))),
		"too late":           encode(pushOf(streamOf("{}", entryOf(1<<60, 0, "m")))),
	} {
		if response, _ := s.Do(p, push, string(body), protobufType); response.Status != http.StatusBadRequest || len(response.Body) < 2 {
			t.Errorf("%s: %d %s", name, response.Status, response.Body)
		}
	}
	if got := s.NewText(); got != "" {
		t.Errorf("accepted: %s", got)
	}
}

func encode(message []byte) []byte { return snappy.Encode(nil, message) }

// A request with a time for each record has the same packets when it comes again.
func TestRepeatedRequest(t *testing.T) {
	s := new(protocoltest.System).Start(t, "loki")
	p := New(s.Receiver)
	timed := `{"streams":[{"stream":{},"values":[["1700000000000000000","m"]]}]}`
	untimed := `{"streams":[{"stream":{},"values":[["1700000000000000000","m"],["0","m"]]}]}`
	early := `{"streams":[{"stream":{},"values":[["999999","m"]]}]}` // 0.999999 ms after 1970
	for _, body := range []string{timed, timed, untimed, untimed, early, early} {
		if response, _ := s.Do(p, push, body, jsonType); response.Status != http.StatusNoContent {
			t.Fatalf("%d %s", response.Status, response.Body)
		}
	}
	ids := s.PacketIDs()
	if len(ids) != 5 || !strings.HasPrefix(ids[0], "loki-") || ids[1] == ids[2] || ids[3] == ids[4] {
		t.Errorf("the packets are %q", ids)
	}
}

func TestResponses(t *testing.T) {
	const body = `{"streams":[{"stream":{"app":"a"},"values":[["` + second + `000000000","m"]]}]}`
	// The token is that of the contract's examples, "secret".
	const tokens = "team sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b emitters=b*\n"
	for name, c := range map[string]*struct {
		system  protocoltest.System
		request string
		fields  []string
		status  int
		retry   int
	}{
		"full":          {system: protocoltest.System{Journal: protocoltest.Journal{Full: true}}, status: 503, retry: 5},
		"unwritable":    {system: protocoltest.System{Journal: protocoltest.Journal{Unwritable: true}}, status: 503, retry: 5},
		"no analyzer":   {system: protocoltest.System{Closed: true}, status: 503, retry: 5},
		"too large":     {system: protocoltest.System{MaxBodyBytes: 10}, status: 413},
		"method":        {request: "GET /loki/api/v1/push", status: 405},
		"coding":        {fields: []string{"Content-Encoding: br"}, status: 400},
		"no token":      {system: protocoltest.System{Tokens: tokens}, status: 401},
		"other token":   {system: protocoltest.System{Tokens: tokens}, fields: []string{"Authorization: Bearer other"}, status: 401},
		"other emitter": {system: protocoltest.System{Tokens: tokens}, fields: []string{"Authorization: Basic dXNlcjpzZWNyZXQ="}, status: 403},
		"ready":         {request: "GET /ready", status: 200},
		"ready post":    {request: "POST /ready", status: 405},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.system.Start(t, "loki")
				if c.request == "" {
					c.request = push
				}
				started := time.Now()
				response, handled := s.Do(New(s.Receiver), c.request, body, append([]string{jsonType}, c.fields...)...)
				if !handled || response.Status != c.status || response.RetryAfter != c.retry || len(response.Body) == 0 {
					t.Errorf("%v: %d, Retry-After %d, %s", handled, response.Status, response.RetryAfter, response.Body)
				}
				if waited := time.Since(started); waited > 6*time.Second {
					t.Errorf("the response came after %v", waited)
				}
				if (response.Authenticate != "") != (c.status == 401) || (response.Allow != "") != (c.status == 405) {
					t.Errorf("Authenticate %q, Allow %q", response.Authenticate, response.Allow)
				}
			})
		})
	}
	s := new(protocoltest.System).Start(t, "loki")
	if _, handled := s.Do(New(s.Receiver), "GET /loki/api/v1/labels", ""); handled {
		t.Error("a path of queries is one of the protocol")
	}
}

// A request that waits for capacity is accepted when capacity returns.
func TestCapacityReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(protocoltest.System).Start(t, "loki")
		s.Journal.SetFull(true)
		time.AfterFunc(2*time.Second, func() { s.Journal.SetFull(false) })
		response, _ := s.Do(New(s.Receiver), push, `{"streams":[{"stream":{},"values":[["1","m"]]}]}`, jsonType)
		if response.Status != http.StatusNoContent {
			t.Errorf("%d %s", response.Status, response.Body)
		}
	})
}

func TestLargeLine(t *testing.T) {
	const others = "192.0.2.1: 1700000000000 INFO one {input=loki}\n192.0.2.1: 1700000000000 INFO two {input=loki}"
	t.Run("JSON", func(t *testing.T) {
		entry := func(line string) string { return `["` + second + `000000000","` + line + `"]` }
		of := func(entries ...string) string {
			return `{"streams":[{"stream":{},"values":[` + strings.Join(entries, ",") + `]}]}`
		}
		protocoltest.RejectedRecord{
			Reason:   problem.TooLarge,
			Protocol: "loki", New: handler, Request: push, Fields: []string{jsonType}, Success: http.StatusNoContent,
			Alone: of(entry("%s")), Among: of(entry("one"), entry("%s"), entry("two")), Others: others,
		}.Check(t)
	})
	t.Run("protobuf", func(t *testing.T) {
		large := entryOf(1700000000, 0, strings.Repeat("x", protocoltest.MaxPacketBytes))
		of := func(entries ...[]byte) string { return string(encode(pushOf(streamOf("{}", entries...)))) }
		protocoltest.RejectedRecord{
			Reason:   problem.TooLarge,
			Protocol: "loki", New: handler, Request: push, Fields: []string{protobufType}, Success: http.StatusNoContent,
			Alone: of(large), Among: of(entryOf(1700000000, 0, "one"), large, entryOf(1700000000, 0, "two")), Others: others,
		}.Check(t)
	})
}

func handler(r *receiver.Receiver) receiver.HTTP { return New(r) }

func TestMalformedRecord(t *testing.T) {
	const others = "a: 1700000000000 INFO one {app=a input=loki}\na: 1700000000000 INFO two {app=a input=loki}"
	const one, two = `["` + second + `000000000","one"]`, `["` + second + `000000000","two"]`
	const labels = `{"stream":{"app":"a"},"values":`
	ofJSON := func(streams string) string { return `{"streams":[` + streams + `]}` }
	ofProtobuf := func(streams ...[]byte) string { return string(encode(pushOf(streams...))) }
	entry := func(line string) []byte { return entryOf(1700000000, 0, line) }
	for name, c := range map[string]struct{ fields, alone, among string }{
		"time":             {jsonType, ofJSON(labels + `[["now","m"]]}`), ofJSON(labels + "[" + one + `,["now","m"],` + two + "]}")},
		"time before 1970": {jsonType, ofJSON(labels + `[["-1","m"]]}`), ofJSON(labels + "[" + one + `,["-1","m"],` + two + "]}")},
		"value":            {jsonType, ofJSON(labels + `[1]}`), ofJSON(labels + "[" + one + `,1,` + two + "]}")},
		"metadata":         {jsonType, ofJSON(labels + `[["1","m",5]]}`), ofJSON(labels + "[" + one + `,["1","m",5],` + two + "]}")},
		"labels": {jsonType, ofJSON(`{"stream":"{}","values":[["1","m"]]}`),
			ofJSON(labels + "[" + one + `]},{"stream":"{}","values":[["1","m"]]},` + labels + "[" + two + "]}")},
		"values":    {jsonType, ofJSON(labels + `{}}`), ofJSON(labels + "[" + one + `]},` + labels + "{}}," + labels + "[" + two + "]}")},
		"no stream": {jsonType, ofJSON("5"), ofJSON(labels + "[" + one + `]},5,` + labels + "[" + two + "]}")},
		"labels in protobuf": {protobufType, ofProtobuf(streamOf("{app=}", entry("m"))),
			ofProtobuf(streamOf(`{app="a"}`, entry("one")), streamOf("{app=}", entry("m")), streamOf(`{app="a"}`, entry("two")))},
		"time in protobuf": {protobufType, ofProtobuf(streamOf("{}", entryOf(-1, 0, "m"))),
			ofProtobuf(streamOf(`{app="a"}`, entry("one"), entryOf(-1, 0, "m"), entry("two")))},
	} {
		t.Run(name, func(t *testing.T) {
			protocoltest.RejectedRecord{
				Protocol: "loki", New: handler, Request: push, Fields: []string{c.fields}, Success: http.StatusNoContent,
				Reason: problem.Malformed, Alone: c.alone, Among: c.among, Others: others,
			}.Check(t)
		})
	}
}

// Labels that take more than half of a packet are not copied for each of a million entries.
func TestLargeLabels(t *testing.T) {
	const entries = 1_000_000
	value := strings.Repeat("x", protocoltest.MaxPacketBytes)
	for fields, body := range map[string]string{
		jsonType:     `{"streams":[{"stream":{"a":"` + value + `"},"values":[["1",""]` + strings.Repeat(`,["1",""]`, entries-1) + `]}]}`,
		protobufType: string(encode(field(1, append(field(1, []byte(`{a="`+value+`"}`)), bytes.Repeat(field(2, nil), entries)...)))),
	} {
		s := new(protocoltest.System).Start(t, "loki")
		s.Do(New(s.Receiver), push, `{"streams":[{"stream":{},"values":[["1","m"]]}]}`, jsonType)
		if response, _ := s.Do(New(s.Receiver), push, body, fields); response.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s", fields, response.Status, response.Body)
		}
	}
}

// A stream with labels that cannot be read counts as many rejected records as it has entries.
func TestRejectedStream(t *testing.T) {
	const good, bad = `{"stream":{},"values":[["1","m"]]}`, `{"stream":5,"values":[["1","m"],["1","n"],["1","o"]]}`
	s := new(protocoltest.System).Start(t, "loki")
	p := New(s.Receiver)
	s.Do(p, push, `{"streams":[`+good+`,`+bad+`]}`, jsonType)
	entry := entryOf(1, 0, "m")
	s.Do(p, push, string(encode(pushOf(streamOf("a", entry, entry), streamOf("{}", entry)))), protobufType)
	if n := s.Count("distributor_input_rejected_records_total", "malformed"); n != 5 {
		t.Errorf("%v records were rejected", n)
	}
}
