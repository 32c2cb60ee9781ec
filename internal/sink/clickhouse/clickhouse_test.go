package clickhouse

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

const base = "clickhouse+http://one:8123"

// otelRow has the columns of otel_logs, with the types that JSONEachRow reads.
type otelRow struct {
	Timestamp          time.Time
	TraceID            string `json:"TraceId"`
	SpanID             string `json:"SpanId"`
	TraceFlags         uint8
	SeverityNumber     uint8
	SeverityText       string
	ServiceName        string
	Body               string
	ResourceSchemaURL  string `json:"ResourceSchemaUrl"`
	ScopeSchemaURL     string `json:"ScopeSchemaUrl"`
	ScopeName          string
	ScopeVersion       string
	ResourceAttributes map[string]string
	ScopeAttributes    map[string]string
	LogAttributes      map[string]string
}

var otelColumns = strings.Fields(`Timestamp TraceId SpanId TraceFlags SeverityText SeverityNumber ServiceName Body
	ResourceSchemaUrl ResourceAttributes ScopeSchemaUrl ScopeName ScopeVersion ScopeAttributes LogAttributes`)

// rows returns the rows of an insert.
func rows(t testing.TB, r httpsinktest.Request) (all []otelRow) {
	t.Helper()
	query, err := url.ParseQuery(r.Query)
	if err != nil || r.Path != "/" || !strings.HasPrefix(query.Get("query"), "INSERT INTO ") || !strings.HasSuffix(query.Get("query"), " FORMAT JSONEachRow") ||
		query.Get("wait_end_of_query") != "1" || query.Get("async_insert") != "0" || query.Get("date_time_input_format") != "best_effort" ||
		len(query.Get("insert_deduplication_token")) != 32 {
		t.Errorf("%s?%s, %v", r.Path, r.Query, err)
	}
	for line := range strings.Lines(r.Body) {
		var columns map[string]json.RawMessage // names are exact there
		if err := json.Unmarshal([]byte(line), &columns); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for name := range columns {
			if !slices.Contains(otelColumns, name) {
				t.Errorf("there is no column %s", name)
			}
		}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var one otelRow
		if err := decoder.Decode(&one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

func TestSink(t *testing.T) {
	httpsinktest.Conform(t, base, Backend, httpsinktest.Always(httpsinktest.Response{}), func(r httpsinktest.Request) (ids []string) {
		for _, one := range rows(t, r) {
			ids = append(ids, one.LogAttributes["packet_id"])
		}
		return ids
	})
}

func TestTranslation(t *testing.T) {
	server := httpsinktest.NewServer(httpsinktest.Always(httpsinktest.Response{}))
	s := httpsinktest.Open(t, server, base+"?table=logs.otel_logs", Backend)
	metadata := `"trace_flags":"1","severity_number":"9","span_id":"07",`
	p := httpsinktest.Packet(t, strings.Replace(httpsinktest.Rich, `"trace_id"`, metadata+`"trace_id"`, 1))
	if r := httpsinktest.Send(t, s, p); r.Outcome != sink.Delivered {
		t.Fatal(r)
	}
	resource := map[string]string{"service.name": "shop", "host.name": "web-1", "a": "9"}
	want := []otelRow{
		{
			Timestamp: time.Unix(0, 1640995200123456789).UTC(), TraceID: "0102", SpanID: "07", TraceFlags: 1, SeverityNumber: 9, SeverityText: "INFO",
			ServiceName: "shop", Body: "first \"line\"\n", ResourceSchemaURL: "https://r", ResourceAttributes: resource,
			ScopeSchemaURL: "https://s", ScopeName: "s", ScopeVersion: "1", ScopeAttributes: map[string]string{"x": "true"},
			LogAttributes: map[string]string{"emitter_id": "shop/web-1", "packet_id": "p", "a": "2", "level": "x", "n": "7"},
		},
		{
			Timestamp: time.UnixMilli(1640995200123).UTC(), SeverityText: "odd", ServiceName: "shop", Body: "second \ufffd",
			ResourceSchemaURL: "https://r", ResourceAttributes: resource,
			LogAttributes: map[string]string{"emitter_id": "shop/web-1", "packet_id": "p", "time_unix_nano": "0"},
		},
	}
	if got := rows(t, server.Requests()[0]); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	if query, _ := url.ParseQuery(server.Requests()[0].Query); query.Get("query") != "INSERT INTO logs.otel_logs ("+strings.Join(otelColumns, ", ")+") FORMAT JSONEachRow" {
		t.Error(query)
	}
}

// A number that the column cannot have stays an attribute.
func TestUnusualNumbers(t *testing.T) {
	server := httpsinktest.NewServer(httpsinktest.Always(httpsinktest.Response{}))
	s := httpsinktest.Open(t, server, base, Backend)
	p := httpsinktest.Packet(t, strings.Replace(httpsinktest.Rich, `"trace_id"`, `"trace_flags":"256","severity_number":"-1","trace_id"`, 1))
	httpsinktest.Send(t, s, p)
	first := rows(t, server.Requests()[0])[0]
	if first.TraceFlags != 0 || first.LogAttributes["trace_flags"] != "256" || first.LogAttributes["severity_number"] != "-1" {
		t.Errorf("%+v", first)
	}
}

func TestOptions(t *testing.T) {
	endpoint, err := sink.ParseURL(base + "?table=x%3BDROP")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpsink.Parse(endpoint, Backend); err == nil || !strings.Contains(err.Error(), `the option "table" is "x;DROP"`) {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) { httpsinktest.Probes(t, base, Backend, "GET", "/ping") }

func TestResponses(t *testing.T) {
	misconfigured := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Misconfigured}
	rejected := httpsinktest.Expected{Outcome: sink.Rejected, Reason: sink.InvalidPacket}
	throttled := httpsinktest.Expected{Outcome: sink.Throttled, Reason: sink.NotNow}
	failed := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Status}
	code := func(status, code string) string {
		return status + " X-ClickHouse-Exception-Code: " + code + "\r\nCode: " + code + ". DB::Exception"
	}
	httpsinktest.Responses(t, base, Backend, map[string]httpsinktest.Expected{
		"200 ": {Outcome: sink.Delivered},
		code("500", "252") + ": Too many parts (3000). Merges are processing significantly slower than inserts": throttled,
		code("500", "252") + ": Too many partitions for single INSERT block (more than 100)":                    rejected,
		code("500", "202"): throttled, code("500", "241"): throttled,
		code("500", "159"): failed, code("500", "209"): failed,
		code("404", "60"): misconfigured, code("403", "516"): misconfigured, code("404", "81"): misconfigured, code("400", "62"): misconfigured,
		code("400", "26"): rejected, code("400", "27"): rejected, code("400", "117"): rejected,
		code("500", "117"): rejected, // whatever the status
		code("500", "407"): rejected, code("500", "469"): rejected, code("500", "691"): rejected,
		code("500", "16"): misconfigured, code("400", "44"): misconfigured, code("500", "452"): misconfigured,
		code("200", "241"): throttled, code("200", "999"): failed,
		code("500", "999"): failed, code("400", "999"): {Outcome: sink.Rejected, Reason: sink.Malformed},
		"401 ": misconfigured, "502 ": failed, "413 ": {Outcome: sink.Rejected, Reason: sink.TooLarge},
	})
}

func TestRepeat(t *testing.T) { httpsinktest.Repeats(t, base, Backend) }

// The token depends on the ids, whatever their spelling, and on where they end.
func TestToken(t *testing.T) {
	token := func(emitter, id string) string {
		server := httpsinktest.NewServer(httpsinktest.Always(httpsinktest.Response{}))
		body := `{"emitter_id":"` + emitter + `","packet_id":"` + id + `","messages":[{"timestamp":1,"level":"l","message":"m"}]}`
		httpsinktest.Send(t, httpsinktest.Open(t, server, base, Backend), httpsinktest.Packet(t, body))
		query, err := url.ParseQuery(server.Requests()[0].Query)
		if err != nil {
			t.Fatal(err)
		}
		return query.Get("insert_deduplication_token")
	}
	one := token("ab", "c")
	if one != token(`a\u0062`, "c") || one == token("a", "bc") || one == token("ab", "d") {
		t.Error(one)
	}
}

func BenchmarkEncode(b *testing.B) { httpsinktest.Benchmark(b, Backend) }
