package elasticsearch

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

const base = "es+http://one:9200"

// document is a document and where it goes.
type document struct {
	index, id string
	source    map[string]any
}

// documents reads a bulk request as strictly as Elasticsearch does.
func documents(t testing.TB, r httpsinktest.Request) (all []document) {
	t.Helper()
	if r.Path != "/_bulk" || r.Header.Get("Content-Type") != "application/x-ndjson" || !strings.HasSuffix(r.Body, "\n") {
		t.Errorf("%s %v", r.Path, r.Header)
	}
	lines := strings.Split(strings.TrimSuffix(r.Body, "\n"), "\n")
	for i := 0; i < len(lines); i += 2 {
		var action struct {
			Create struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			}
		}
		decoder := json.NewDecoder(strings.NewReader(lines[i]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&action); err != nil || action.Create.Index == "" || action.Create.ID == "" || len(action.Create.ID) > 512 {
			t.Fatalf("%s: %v", lines[i], err)
		}
		one := document{index: action.Create.Index, id: action.Create.ID, source: make(map[string]any)}
		readStrictly(t, lines[i+1], one.source)
		all = append(all, one)
	}
	return all
}

// readStrictly reads an object and refuses names that occur twice, as Elasticsearch does.
func readStrictly(t testing.TB, line string, into map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(line))
	_, err := decoder.Token()
	for err == nil && decoder.More() {
		var name json.Token
		var value any
		if name, err = decoder.Token(); err == nil {
			err = decoder.Decode(&value)
		}
		if _, again := into[fmt.Sprint(name)]; again || strings.HasPrefix(fmt.Sprint(name), "_") {
			t.Errorf("%v occurs twice, or is not allowed: %s", name, line)
		}
		into[fmt.Sprint(name)] = value
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// answer answers a bulk request with a status for each document, by its id.
func answer(t testing.TB, status func(id string) int) func(httpsinktest.Request) httpsinktest.Response {
	return func(r httpsinktest.Request) httpsinktest.Response {
		errors, items := false, []string(nil)
		for _, one := range documents(t, r) {
			code, detail := status(one.id), ""
			if code >= 300 {
				errors, detail = true, fmt.Sprintf(`,"error":{"type":"type_%d","reason":"because \"errors\":false"}`, code)
			}
			items = append(items, fmt.Sprintf(`{"create":{"_index":"i","_id":%q,"status":%d%s}}`, one.id, code, detail))
		}
		return httpsinktest.Response{Body: fmt.Sprintf(`{"took":1,"errors":%v,"items":[%s]}`, errors, strings.Join(items, ","))}
	}
}

func created(string) int { return 201 }

func TestSink(t *testing.T) {
	httpsinktest.Conform(t, base, Backend, answer(t, created), func(r httpsinktest.Request) (ids []string) {
		for _, one := range documents(t, r) {
			ids = append(ids, one.source["packet_id"].(string))
		}
		return ids
	})
}

func TestTranslation(t *testing.T) {
	server := httpsinktest.NewServer(answer(t, created))
	p := httpsinktest.Packet(t, strings.Replace(httpsinktest.Rich, `"n":"i"}`, `"n":"i","a":"j","trace_id":"i","z":"n"}`, 1))
	if r := httpsinktest.Send(t, httpsinktest.Open(t, server, base, Backend), p); r.Outcome != sink.Delivered || len(r.Exceptions) > 0 {
		t.Fatal(r)
	}
	all := documents(t, server.Requests()[0])
	sum := sha256.Sum256([]byte("shop/web-1\x00p"))
	id := base64.RawURLEncoding.EncodeToString(sum[:16])
	for i, one := range all {
		if one.index != "logs-logstreamer-default" || one.id != fmt.Sprintf("%s-%d", id, i) {
			t.Errorf("%+v", one)
		}
	}
	// trace_id has a type that its value does not have.
	wantSource(t, all[0].source, `{"@timestamp":"2022-01-01T00:00:00.123456789Z","message":"first \"line\"\n","log.level":"INFO","emitter_id":"shop/web-1","packet_id":"p",
		"a":2,"level":"x","trace_id":"0102","n":7,"z":null,"otel.scope.name":"s","otel.scope.version":"1","otel.scope.x":true,"service.name":"shop","host.name":"web-1","resource.a":"9"}`)
	wantSource(t, all[1].source, `{"@timestamp":"2022-01-01T00:00:00.123Z","message":"second `+"\ufffd"+`","log.level":"odd","emitter_id":"shop/web-1","packet_id":"p",
		"time_unix_nano":"0","service.name":"shop","host.name":"web-1","a":"9"}`)
}

func wantSource(t *testing.T, got map[string]any, want string) {
	t.Helper()
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("%v\nwant\n%v", got, wanted)
	}
}

// A document keeps the id that it had, where that is an id of its index.
func TestOrigin(t *testing.T) {
	const body = `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"m","metadata":{"es.index":"was","es.id":"own","_id":"x"}},` +
		`{"timestamp":1,"level":"l","message":"m","metadata":{"es.index":"was"}},{"timestamp":1,"level":"l","message":"m"}]}`
	for options, want := range map[string]string{
		"":           "was/own was/* logs-logstreamer-default/*",
		"?index=was": "was/own was/* was/*",
		"?index=new": "new/* new/* new/*",
	} {
		server := httpsinktest.NewServer(answer(t, created))
		httpsinktest.Send(t, httpsinktest.Open(t, server, base+options, Backend), httpsinktest.Packet(t, body))
		var got []string
		for _, one := range documents(t, server.Requests()[0]) {
			if _, kept := one.source["es.id"]; kept {
				t.Errorf("%v has the id of the document", one.source)
			}
			if one.id != "own" {
				one.id = "*"
			}
			got = append(got, one.index+"/"+one.id)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", options, text, want)
		}
	}
}

func TestOptions(t *testing.T) {
	endpoint, err := sink.ParseURL(base + "?index=" + url.QueryEscape("A/../_all"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpsink.Parse(endpoint, Backend); err == nil || !strings.Contains(err.Error(), `the option "index"`) {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) { httpsinktest.Probes(t, base, Backend, "GET", "/") }

func TestResponses(t *testing.T) {
	failed := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Status}
	unreadable := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Unreadable}
	misconfigured := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Misconfigured}
	one := func(status string) string { return `{"create":{"status":` + status + `}}` }
	both := func(first, second string) string {
		return `200 {"errors":true,"items":[` + one(first) + "," + one(second) + `]}`
	}
	httpsinktest.Responses(t, base, Backend, map[string]httpsinktest.Expected{
		`200 {"took":1,"errors":false,"items":[]}`:         {Outcome: sink.Delivered},
		both("201", "409"):                                 {Outcome: sink.Delivered},
		both("429", "201"):                                 {Outcome: sink.Throttled, Reason: sink.NotNow},
		both("503", "201"):                                 failed,
		both("503", "400"):                                 failed,
		both("403", "201"):                                 misconfigured,
		`200 {"errors":true,"items":[` + one("201") + `]}`: unreadable,
		both("201", "0"):                                   unreadable,
		`200 {"errors":true,"items":[{`:                    unreadable,
		`200 `:                                             unreadable,
		`401 `:                                             misconfigured,
		`404 `:                                             misconfigured,
		`400 `:                                             {Outcome: sink.Rejected, Reason: sink.Malformed},
		`413 `:                                             {Outcome: sink.Rejected, Reason: sink.TooLarge},
		`429 `:                                             {Outcome: sink.Throttled, Reason: sink.NotNow},
		`502 `:                                             failed,
	})
}

// Of a batch only the packets are listed that have to be sent again, or never.
func TestItems(t *testing.T) {
	var packets []*packet.Packet
	ids := make(map[string]string) // of documents
	for _, name := range []string{"stored", "duplicate", "rejected", "throttled", "failed", "misconfigured", "rejected and throttled"} {
		packets = append(packets, httpsinktest.Packet(t, strings.Replace(httpsinktest.Rich, `"packet_id":"p"`, `"packet_id":"`+name+`"`, 1)))
		sum := sha256.Sum256([]byte("shop/web-1\x00" + name))
		ids[base64.RawURLEncoding.EncodeToString(sum[:16])] = name
	}
	statuses := map[string][2]int{
		"stored": {201, 201}, "duplicate": {409, 201}, "rejected": {201, 400}, "throttled": {201, 429}, "failed": {503, 201}, "misconfigured": {201, 403},
		"rejected and throttled": {400, 429},
	}
	server := httpsinktest.NewServer(answer(t, func(id string) int {
		at := strings.LastIndex(id, "-")
		return statuses[ids[id[:at]]][id[at+1]-'0']
	}))
	r := httpsinktest.Send(t, httpsinktest.Open(t, server, base, Backend), packets...)
	if r.Outcome != sink.Delivered || r.Pause <= 0 {
		t.Fatal(r)
	}
	got := ""
	for _, e := range r.Exceptions {
		got += fmt.Sprintf("%d %s %v; ", e.Packet, e.Reason, e.Failed)
	}
	if want := "2 invalid_packet false; 3  false; 4  true; 5  true; 6  false; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if detail := r.Exceptions[0].Detail; detail != `message 1: 400 type_400 "because \"errors\":false"; 1 of 2 messages were not stored` {
		t.Error(detail)
	}
}

// A dead letter lists ten items at most.
func TestDetailIsBounded(t *testing.T) {
	items := make([]item, 1000)
	for i := range items {
		items[i].Status = 400
		items[i].Error.Reason = strings.Repeat("x", 1000)
	}
	if detail := describe(items); len(detail) > 3000 || !strings.HasSuffix(detail, "and 990 more; 1000 of 1000 messages were not stored") {
		t.Errorf("%d bytes: %s", len(detail), detail)
	}
}

func TestRepeat(t *testing.T) { httpsinktest.Repeats(t, base, Backend) }

func BenchmarkEncode(b *testing.B) { httpsinktest.Benchmark(b, Backend) }
