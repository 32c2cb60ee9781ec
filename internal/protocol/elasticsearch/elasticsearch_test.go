package elasticsearch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

const agent = "User-Agent: test"

// beat is a field that Beats send; their requests are identified by their values.
const beat = "X-Elastic-Product-Origin: beats"

func start(t testing.TB, s *protocoltest.System) *Protocol {
	return New(DefaultConfig(), s.Start(t, "elasticsearch").Receiver)
}

// documentCase is a request, its response and the messages that are accepted.
type documentCase struct{ request, body, response, messages string }

const (
	createdItem = `,"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,"status":201}}`
	contentType = "Content-Type: application/vnd.elasticsearch+x-ndjson; compatible-with=9"
)

func TestDocuments(t *testing.T) {
	for _, cases := range []map[string]documentCase{acceptedCases(), itemErrorCases(), agentCases()} {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				s := new(protocoltest.System)
				response, handled := s.Do(start(t, s), c.request, c.body, agent, contentType)
				got := withoutIDs(string(response.Body))
				if !handled || response.Status/100 != 2 || got != c.response || !json.Valid(response.Body) {
					t.Errorf("%d, got\n%s\nwant\n%s", response.Status, got, c.response)
				}
				if (response.Status == http.StatusCreated) != (c.response[2] == '_') || !strings.Contains(string(response.Fields), "X-Elastic-Product: Elasticsearch") {
					t.Errorf("%d %s", response.Status, response.Fields)
				}
				if got := s.NewText(); got != c.messages {
					t.Errorf("got\n%s\nwant\n%s", got, c.messages)
				}
			})
		}
	}
}

// acceptedCases are requests of which each document is accepted.
func acceptedCases() map[string]documentCase {
	return map[string]documentCase{
		"create": {"POST /_bulk", `{"create":{"_index":"i","_id":"d"}}
{"@timestamp":"2023-11-14T22:13:20.123456Z","message":"m","log.level":"warn","service":{"name":"s"},"host":{"name":"h"}}
`, `{"took":1,"errors":false,"items":[{"create":{"_index":"i","_id":"d"` + createdItem + `]}`,
			`s/h: 1700000000123 WARN m {body_key=message es.id=d es.index=i host.name=h input=elasticsearch service.name=s severity_text=warn time_unix_nano=1700000000123456000}`},
		"index of the path": {"PUT /elasticsearch/logs-%7B1%7D/_bulk", ` {"index" : {"_id": 7}}
 {"@timestamp":1700000000000,"msg":"m","level":50,"host":"h","es.id":"x"} ` + "\r\n\n" + `{"create":{"_index":"\u0041","_type":"_doc","routing":null}}
{"timestamp":"1700000001.5","log":"l"}`,
			`{"took":1,"errors":false,"items":[{"index":{"_index":"logs-{1}","_id":"7"` + createdItem + `,{"create":{"_index":"A","_id":"ID-1"` + createdItem + `]}`,
			`logs-{1}/h: 1700000000000 ERROR m {attributes.es.id=x body_key=msg es.id=7 es.index=logs-{1} host=h input=elasticsearch severity_text=50}
A: 1700000001500 INFO l {body_key=log es.index=A input=elasticsearch}`},
		"escaped names": {"POST /_bulk", `{"cre\u0061te":{"\u005findex":"i","_\u0069d":"d"}}
{"\u0040timestamp":1700000000000,"m\u0065ssage":"m"}`, `{"took":1,"errors":false,"items":[{"create":{"_index":"i","_id":"d"` + createdItem + `]}`,
			`i: 1700000000000 INFO m {body_key=message es.id=d es.index=i input=elasticsearch}`},
		"document": {"POST /i/_doc", `{"@timestamp":1700000000000,"message":"m"}`,
			`{"_index":"i","_id":"ID","_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1}`,
			`i: 1700000000000 INFO m {body_key=message es.index=i input=elasticsearch}`},
		"with an id": {"PUT /i/_create/a%20b", `{"@timestamp":1700000000000,"message":"m"}`,
			`{"_index":"i","_id":"a b","_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1}`,
			`i: 1700000000000 INFO m {body_key=message es.id=a b es.index=i input=elasticsearch}`},
	}
}

// itemErrorCases are bulk requests of which some items are rejected or left out of the response.
func itemErrorCases() map[string]documentCase {
	return map[string]documentCase{
		"bad ones": {"POST /i/_bulk", `{"index":{}}
{"@timestamp":1700000000000,"message":"m"}
{"index":{}}
{"message":
{"update":{"_id":"1"}}
{"doc":{}}
{"delete":{"_id":"2"}}
{"create":{}}
[]
`, `{"took":1,"errors":true,"items":[{"index":{"_index":"i","_id":"ID-0"` + createdItem +
			`,{"index":{"_index":"i","_id":"ID-1","status":400,"error":{"type":"document_parsing_exception","reason":"the JSON text ends too early"}}}` +
			`,{"update":{"_index":"i","_id":"1","status":400,"error":{"type":"document_parsing_exception","reason":"` + errUnsupported.Error() + `"}}}` +
			`,{"delete":{"_index":"i","_id":"2","status":400,"error":{"type":"document_parsing_exception","reason":"` + errUnsupported.Error() + `"}}}` +
			`,{"create":{"_index":"i","_id":"ID-4","status":400,"error":{"type":"document_parsing_exception","reason":"` + errNoObject.Error() + `"}}}]}`,
			`i: 1700000000000 INFO m {body_key=message es.index=i input=elasticsearch}`},
		"filtered": {"POST /_bulk?filter_path=errors,items.*.error,items.*.status", `{"index":{"_index":"i"}}
{"@timestamp":1700000000000,"message":"m"}
{"index":{}}
{"message":"m"}
`, `{"errors":true,"items":[{"index":{"status":201}},{"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"` + errNoIndex.Error() + `"}}}]}`,
			`i: 1700000000000 INFO m {body_key=message es.index=i input=elasticsearch}`},
		"errors alone": {"POST /i/_bulk?filter_path=errors", "{\"index\":{}}\n{\"time\":1700000000000,\"message\":\"m\"}", `{"errors":false}`,
			`i: 1700000000000 INFO m {body_key=message es.index=i input=elasticsearch}`},
	}
}

// agentCases are bulk requests as agents write them.
func agentCases() map[string]documentCase {
	return map[string]documentCase{
		"rsyslog": {"POST /_bulk", `{"index":{"_index":"system","_type":"events"}}
{"message":" text","fromhost":"web-1","facility":"user","priority":"err","timereported":"2023-11-14T23:13:20.5+01:00","timegenerated":"2023-11-14T23:13:21+01:00"}
`, `{"took":1,"errors":false,"items":[{"index":{"_index":"system","_id":"ID-0"` + createdItem + `]}`,
			`system/web-1: 1700000000500 ERROR  text {attributes.facility=user body_key=message es.index=system fromhost=web-1 input=elasticsearch severity_text=err timegenerated=2023-11-14T23:13:21+01:00}`},
		"winston-elasticsearch": {"POST /_bulk", `{"index":{"_index":"i","pipeline":null},"attempts":0}
{"@timestamp":1700000000000,"message":"m","severity":"warn","fields":{},"source":"shop"}
`, `{"took":1,"errors":false,"items":[{"index":{"_index":"i","_id":"ID-0"` + createdItem + `]}`,
			`i: 1700000000000 WARN m {body_key=message es.index=i fields={}(j) input=elasticsearch severity_text=warn source=shop}`},
	}
}

// withoutIDs replaces ids that the protocol generates.
func withoutIDs(text string) string {
	parts := strings.Split(text, `"elasticsearch-`)
	for n, part := range parts[1:] {
		id, rest, _ := strings.Cut(part, `"`)
		if at := strings.LastIndexByte(id, '-'); at == 16+1+1 { // boot-sequence-n
			id = "ID" + id[at:]
		} else {
			id = "ID"
		}
		parts[n+1] = id + `"` + rest
	}
	return strings.Join(parts, `"`)
}

func TestRefusedRequests(t *testing.T) {
	for body, want := range map[string]string{
		"":                                  "body is required",
		"\n\n":                              "body is required",
		"x\n{}":                             "the action in line 1: invalid JSON",
		"[]\n{}":                            "the action in line 1: it must be like",
		"{}\n{}":                            "the action in line 1: it must be like",
		"\n{\"x\":{},\"index\":{}}\n{}":     "the action in line 2: it must be like",
		`{"create":{},"index":{}}` + "\n{}": "the action in line 1: it must be like",
		`{"index":[]}` + "\n{}":             "the action in line 1: it must be like",
		`{"index":{}}`:                      "the action in line 1 has no document behind it",
		`{"index":{}}` + "\n{}\nx":          "the action in line 3: invalid JSON",
	} {
		s := new(protocoltest.System)
		response, _ := s.Do(start(t, s), "POST /i/_bulk", body, agent)
		var decoded struct {
			Error  struct{ Type, Reason string }
			Status int
		}
		if err := json.Unmarshal(response.Body, &decoded); err != nil || response.Status != 400 || decoded.Status != 400 ||
			decoded.Error.Type == "" || !strings.Contains(decoded.Error.Reason, want) {
			t.Errorf("%q: %d %s", body, response.Status, response.Body)
		}
		if got := s.NewText(); got != "" {
			t.Errorf("%q: accepted: %s", body, got)
		}
	}
	s := &protocoltest.System{}
	many := strings.Repeat("{\"index\":{}}\n{}\n", maxItems+1)
	if response, _ := s.Do(start(t, s), "POST /i/_bulk", many, agent); response.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", response.Status, response.Body)
	}
}

func TestNames(t *testing.T) {
	s := new(protocoltest.System)
	long := strings.Repeat("n", 1<<20)
	body := `{"index":{"_index":"` + long + `"}}` + "\n{}\n" + `{"index":{"_index":"i","_id":"` + long + `"}}` + "\n{}\n"
	response, _ := s.Do(start(t, s), "POST /_bulk", body, agent)
	if response.Status != 200 || len(response.Body) > 2000 || strings.Count(string(response.Body), `"status":400`) != 2 {
		t.Errorf("%d %.300s", response.Status, response.Body)
	}
}

// Packets have the same ids when a request is repeated, if its records have ids or times that
// distinguish them from other records.
func TestRepeatedRequest(t *testing.T) {
	const withID, timed, neither = `{"index":{"_id":"%s"}}
{"@timestamp":1700000000000,"message":"%s"}`, `{"index":{}}
{"@timestamp":1700000000000,"message":"%s%s"}`, `{"index":{}}
{"message":"%s%s"}`
	const untimed = `{"index":{"_id":"%s"}}
{"message":"%s"}`
	for name, c := range map[string]struct {
		form  string
		parts [2][2]string
		want  int
	}{
		"ids":              {withID, [2][2]string{{"1", "m"}, {"1", "m"}}, 1},
		"other content":    {withID, [2][2]string{{"1", "m"}, {"1", "n"}}, 2},
		"other ids":        {withID, [2][2]string{{"1", "m"}, {"2", "m"}}, 2},
		"ids alone":        {untimed, [2][2]string{{"1", "m"}, {"1", "m"}}, 1},
		"ids, other text":  {untimed, [2][2]string{{"1", "m"}, {"1", "n"}}, 2},
		"time":             {timed, [2][2]string{{"m", ""}, {"m", ""}}, 1},
		"another message":  {timed, [2][2]string{{"m", ""}, {"n", ""}}, 2},
		"neither of these": {neither, [2][2]string{{"m", ""}, {"m", ""}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(protocoltest.System)
				p := start(t, s)
				for _, parts := range c.parts {
					response, _ := s.Do(p, "POST /i/_bulk", fmt.Sprintf(c.form, parts[0], parts[1]), agent)
					if response.Status != 200 || !bytes.Contains(response.Body, []byte(`"status":201`)) {
						t.Fatalf("%d %s", response.Status, response.Body)
					}
					time.Sleep(time.Second) // a record without a time gets a later one then
				}
				if got := s.PacketIDs(); len(got) != c.want {
					t.Errorf("the packets are %q", got)
				}
			})
		})
	}
}

func TestHandshake(t *testing.T) {
	s := new(protocoltest.System)
	p := start(t, s)
	for request, want := range map[string]string{
		"GET /":                      `"number":"8.17.0"`,
		"HEAD /":                     `"number"`,
		"GET /elasticsearch":         `"number"`,
		"GET /elasticsearch/":        `"number"`,
		"GET /_cat/health":           `green`,
		"GET /_license":              `"status":"active"`,
		"GET /_xpack":                `license`,
		"GET /_nodes/http":           `"nodes":{}`,
		"GET /_cluster/health":       `"status":"green"`,
		"HEAD /_template/t":          `{}`,
		"PUT /_template/t":           `{"acknowledged":true}`,
		"GET /_index_template/t":     `"index_templates"`,
		"PUT /_index_template/t":     `{"acknowledged":true}`,
		"PUT /_component_template/t": `{"acknowledged":true}`,
		"GET /_ilm/policy/p":         `{}`,
		"PUT /_ilm/policy/p":         `{"acknowledged":true}`,
		"PUT /_ingest/pipeline/p":    `{"acknowledged":true}`,
		"PUT /_data_stream/logs-a-b": `{"acknowledged":true}`,
		"HEAD /_alias/a":             `{}`,
		"HEAD /index":                `{}`,
		"GET /index":                 `{}`,
		"PUT /index":                 `{"acknowledged":true}`,
		"PUT /elasticsearch/index":   `{"acknowledged":true}`,
		"PUT /index/_mapping":        `{"acknowledged":true}`,
		"POST /index/_refresh":       `{"acknowledged":true}`,
		"POST /_aliases":             `{"acknowledged":true}`,
	} {
		checkHandshake(t, s, p, request, http.StatusOK, want)
	}
	for request, status := range map[string]int{
		"GET /_search":          404,
		"POST /index/_search":   404,
		"POST /index/_update/1": 404,
		"POST /index/type":      404,
		"POST /index":           405,
		"POST /":                405,
		"GET /a/b":              404,
		"DELETE /index":         405,
		"GET /_bulk":            405,
		"DELETE /i/_doc/1":      405,
		"TRACE /":               405,
		"PATCH /index":          405,
	} {
		checkHandshake(t, s, p, request, status, "error")
	}
}

func checkHandshake(t *testing.T, s *protocoltest.System, p *Protocol, request string, status int, want string) {
	t.Helper()
	response, handled := s.Do(p, request, "", agent)
	if !handled || response.Status != status || !strings.Contains(string(response.Body), want) || !json.Valid(response.Body) {
		t.Errorf("%s: %v %d %s", request, handled, response.Status, response.Body)
	}
	if !strings.Contains(string(response.Fields), "X-Elastic-Product: Elasticsearch") {
		t.Errorf("%s: %s", request, response.Fields)
	}
}

// On a port with other protocols the protocol handles only paths that no other protocol has.
func TestShared(t *testing.T) {
	s := new(protocoltest.System)
	shared := Shared{start(t, s)}
	for request, want := range map[string]bool{
		"GET /": true, "POST /_bulk": true, "POST /i/_bulk": true, "PUT /i": true, "HEAD /i": true, "GET /elasticsearch/i": true, "GET /elasticsearch": true,
		"GET /i": false, "POST /i": false, "GET /favicon.ico": false, "GET /a/b": false, "HEAD /a/b": false, "GET /elasticsearchx": false, "PUT /": true,
	} {
		if _, handled := s.Do(shared, request, "", agent); handled != want {
			t.Errorf("%s: %v", request, handled)
		}
	}
}

const (
	one    = "{\"create\":{\"_index\":\"i\"}}\n{\"@timestamp\":1700000000000,\"message\":\"m\"}\n"
	helper = "X-Elastic-Client-Meta: es=8.17.0,js=20.0.0,t=8.9.1,hc=20.0.0,h=bp"
)

// overloadCase is a request that cannot be accepted, and its response.
type overloadCase struct {
	system     *protocoltest.System
	request    string
	body       string
	fields     []string
	status     int
	start      string
	unanswered bool
}

const busy = `{"took":1,"errors":true,"items":[{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"`

func TestOverload(t *testing.T) {
	for name, c := range overloadCases() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				response, _ := c.system.Do(start(t, c.system), c.request, c.body, c.fields...)
				if response.Status != c.status || response.Unanswered != c.unanswered || !strings.HasPrefix(string(response.Body), c.start) || !json.Valid(response.Body) {
					t.Errorf("%d, unanswered %v, %s", response.Status, response.Unanswered, response.Body)
				}
				if n := strings.Count(string(response.Body), `"status":429,"error"`); (c.start == busy) != (n == 2) {
					t.Errorf("%d items", n)
				}
				if temporary := c.status == 429 || c.status == 503; temporary != (response.RetryAfter == 5) {
					t.Errorf("Retry-After: %d", response.RetryAfter)
				}
				if waited := time.Since(started); waited > 6*time.Second {
					t.Errorf("the response came after %v", waited)
				}
			})
		})
	}
}

func overloadCases() map[string]overloadCase {
	full := func() *protocoltest.System { return &protocoltest.System{Journal: protocoltest.Journal{Full: true}} }
	closed := func() *protocoltest.System { return &protocoltest.System{Closed: true} }
	return map[string]overloadCase{
		"bulk":             {full(), "POST /_bulk", one, []string{agent}, 429, `{"error":{"root_cause":[{"type":"es_rejected_execution_exception","reason":`, false},
		"document":         {full(), "POST /i/_doc", "{}", []string{agent}, 429, `{"error":`, false},
		"helper":           {full(), "POST /_bulk", one + one, []string{agent, helper}, 200, busy, false},
		"no helper":        {full(), "POST /_bulk", one, []string{agent, "X-Elastic-Client-Meta: es=8.17.0,js=20.0.0"}, 429, `{"error":`, false},
		"helper, unread":   {closed(), "POST /_bulk", one + "\n" + one, []string{agent, helper}, 200, busy, false},
		"helper, gzip":     {closed(), "POST /_bulk", zip(one + one), []string{agent, helper, "Content-Encoding: gzip"}, 200, busy, false},
		"helper, large":    {&protocoltest.System{Closed: true, MaxBodyBytes: 1000}, "POST /_bulk", zip(strings.Repeat(one, 50)), []string{agent, helper, "Content-Encoding: gzip"}, 503, `{"error":`, false},
		"helper, twice":    {closed(), "POST /_bulk", zip(zip(one + one)), []string{agent, helper, "Content-Encoding: gzip, gzip"}, 503, `{"error":`, false},
		"helper, no gzip":  {closed(), "POST /_bulk", one, []string{agent, helper, "Content-Encoding: gzip"}, 503, `{"error":`, false},
		"helper, no lines": {closed(), "POST /_bulk", "x", []string{agent, helper}, 503, `{"error":`, false},
		"rsyslog":          {full(), "POST /_bulk", one, nil, 429, `{"error":`, true},
		"rsyslog, unread":  {closed(), "POST /_bulk", one, nil, 429, `{"error":`, true},
		"rsyslog, one":     {full(), "POST /i/_doc", "{}", nil, 429, `{"error":`, true},
		"rsyslog, bad":     {full(), "POST /_bulk", "x", nil, 400, `{"error":`, false},
		"too large":        {&protocoltest.System{MaxBodyBytes: 10}, "POST /_bulk", one, []string{agent, helper}, 413, `{"error":`, false},
		"no token":         {&protocoltest.System{Tokens: tokens}, "POST /_bulk", one, []string{agent}, 401, `{"error":{"root_cause":[{"type":"security_exception"`, false},
		"emitter":          {&protocoltest.System{Tokens: tokens}, "POST /_bulk", one, []string{agent, "Authorization: ApiKey aWQ6c2VjcmV0"}, 403, `{"error":`, false},
		"no token, hello":  {&protocoltest.System{Tokens: tokens}, "GET /", "", []string{agent}, 401, `{"error":`, false},
		"coding":           {new(protocoltest.System), "POST /_bulk", one, []string{agent, "Content-Encoding: br"}, 400, `{"error":`, false},
	}
}

// The token is "secret".
const tokens = "team sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b emitters=b*\n"

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// A response never reports both accepted items and items that may be sent again.
func TestAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &protocoltest.System{Journal: protocoltest.Journal{Full: true}}
		p := start(t, s)
		response, _ := s.Do(p, "POST /_bulk", one+"{\"create\":{\"_index\":\"i\"}}\nbad\n", agent, helper)
		if strings.Contains(string(response.Body), "201") || strings.Contains(string(response.Body), "400") {
			t.Errorf("%s", response.Body)
		}
		s.Journal.SetFull(false)
		response, _ = s.Do(p, "POST /_bulk", one+"{\"create\":{\"_index\":\"i\"}}\nbad\n", agent, helper)
		if !strings.Contains(string(response.Body), "201") || !strings.Contains(string(response.Body), "400") {
			t.Errorf("%s", response.Body)
		}
	})
}

func TestFilter(t *testing.T) {
	for path, want := range map[string]string{
		"": "took errors _index _id _version result _shards _seq_no _primary_term status error", "*": "took errors _index _id _version result _shards _seq_no _primary_term status error",
		"errors": "errors", "took,items.*.status": "took status", "items.index._id": "_id", "items": "_index _id _version result _shards _seq_no _primary_term status error",
		"**.status": "status", "items.**": "_index _id _version result _shards _seq_no _primary_term status error", "-items": "took errors",
		"items.*.*,-items.*.error,-**._shards": "_index _id _version result _seq_no _primary_term status", "nothing": "",
		strings.Repeat("**.", 5000) + "nothing": "", strings.Repeat("**.", 5000) + "status": "status",
	} {
		f := filterOf(path)
		var got []string
		for n, has := range f {
			if has {
				got = append(got, partPaths[n][len(partPaths[n])-1])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestRefusedDocumentsAreCounted(t *testing.T) {
	s := new(protocoltest.System).Start(t, "elasticsearch")
	large := `{"create":{"_index":"i"}}` + "\n" + `{"message":"` + strings.Repeat("x", protocoltest.MaxPacketBytes) + `"}` + "\n"
	response, _ := s.Do(New(DefaultConfig(), s.Receiver), "POST /_bulk", large+large+`{"create":{"_index":"i"}}`+"\n5\n"+`{"create":{"_index":"i"}}`+"\n{}\n")
	if response.Status != http.StatusOK || strings.Count(string(response.Body), `"status":400`) != 3 || strings.Count(string(response.Body), `"status":201`) != 1 {
		t.Errorf("%d %s", response.Status, response.Body)
	}
	for reason, want := range map[string]float64{"too_large": 2, "malformed": 1} {
		if got := s.Count("distributor_input_rejected_records_total", reason); got != want {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
}

func BenchmarkBulk(b *testing.B) {
	const records = 500
	var body strings.Builder
	for n := range records {
		fmt.Fprintf(&body, `{"create":{"_index":"logs"}}
{"@timestamp":"2023-11-14T22:13:20.%06dZ","log.level":"info","message":"request served","service":{"name":"shop","version":"1.2.3"},"host":{"name":"shop-1"},"http":{"request":{"method":"GET"},"response":{"status_code":200}},"url.path":"/api/v1/orders/%d","event.duration":12000000,"trace.id":"5b8efff798038103d269b633813fc60c"}
`, n, n)
	}
	s := new(protocoltest.System)
	s.Journal.Discard = true
	p := start(b, s)
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if response, _ := s.Do(p, fmt.Sprintf("POST /i%d/_bulk", n), body.String(), agent); response.Status != http.StatusOK {
			b.Fatalf("%d %s", response.Status, response.Body)
		}
	}
	b.ReportMetric(float64(b.N)*records/b.Elapsed().Seconds(), "records/s")
}

// A request of a Beat that comes again has the same packets though the members of its documents come
// in another order, with and without ids and times, and another request has not.
func TestBeatsRequestThatComesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		action, first, again, other string
		fields                      []string
		packets                     int
	}{
		"times": {`{"create":{"_index":"i"}}`, `{"@timestamp":"2023-11-14T22:13:20Z","a":{"x":1,"y":2},"message":"m"}`,
			`{"message":"m","a":{"y":2,"x":1},"@timestamp":"2023-11-14T22:13:20Z"}`, `{"message":"m","a":{"y":2,"x":1},"@timestamp":"2023-11-14T22:13:21Z"}`, []string{beat}, 2},
		"ids": {`{"create":{"_index":"i","_id":"1"}}`, `{"a":{"x":1,"y":2},"message":"m"}`,
			`{"message":"m","a":{"y":2,"x":1}}`, `{"message":"m","a":{"y":2,"x":3}}`, []string{beat}, 2},
		"type of the message": {`{"create":{"_index":"i"}}`, `{"@timestamp":"2023-11-14T22:13:20Z","message":"5"}`,
			`{"message":"5","@timestamp":"2023-11-14T22:13:20Z"}`, `{"message":5,"@timestamp":"2023-11-14T22:13:20Z"}`, []string{beat}, 2},
		"neither":        {`{"create":{"_index":"i"}}`, `{"message":"m"}`, `{"message":"m"}`, `{"message":"m"}`, []string{beat}, 3},
		"another client": {`{"create":{"_index":"i","_id":"1"}}`, `{"a":1,"message":"m"}`, `{"message":"m","a":1}`, `{"message":"m","a":1}`, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(protocoltest.System).Start(t, "elasticsearch")
			p := New(DefaultConfig(), s.Receiver)
			for _, document := range []string{c.first, c.again, c.other} {
				if response, _ := s.Do(p, "POST /_bulk", c.action+"\n"+document+"\n", c.fields...); response.Status != http.StatusOK {
					t.Fatalf("%d %s", response.Status, response.Body)
				}
			}
			if ids := s.PacketIDs(); len(ids) != c.packets {
				t.Errorf("%q", ids)
			}
		})
	}
}
