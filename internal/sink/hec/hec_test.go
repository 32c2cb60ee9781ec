package hec

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

const base = "hec+http://one:8088"

// event is an event as the collector reads it.
type event struct {
	Time                            json.Number
	Host, Source, Index, Sourcetype string
	Event                           string
	Fields                          map[string]string
}

// events returns the events of a request.
func events(t testing.TB, r httpsinktest.Request) (all []event) {
	t.Helper()
	if r.Path != "/services/collector/event" || r.Query != "" {
		t.Errorf("%s?%s", r.Path, r.Query)
	}
	decoder := json.NewDecoder(strings.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	for {
		var one event
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", r.Body, err)
		}
		all = append(all, one)
	}
}

var success = httpsinktest.Response{Body: `{"text":"Success","code":0}`}

func TestSink(t *testing.T) {
	httpsinktest.Conform(t, base, Backend, httpsinktest.Always(success), func(r httpsinktest.Request) (ids []string) {
		for _, one := range events(t, r) {
			ids = append(ids, one.Fields["packet_id"])
		}
		return ids
	})
}

func TestTranslation(t *testing.T) {
	server := httpsinktest.NewServer(httpsinktest.Always(success))
	s := httpsinktest.Open(t, server, base+"?index=main&sourcetype=_json", Backend)
	p := httpsinktest.Packet(t, httpsinktest.Rich)
	if r := httpsinktest.Send(t, s, p); r.Outcome != sink.Delivered {
		t.Fatal(r)
	}
	all := events(t, server.Requests()[0])
	first, second := all[0], all[1]
	if first.Time != "1640995200.123456789" || first.Host != "web-1" || first.Source != "shop" || first.Index != "main" || first.Sourcetype != "_json" ||
		first.Event != "first \"line\"\n" || first.Fields["level"] != "INFO" || first.Fields["a"] != "2" || first.Fields["n"] != "7" || first.Fields["attributes.level"] != "x" {
		t.Errorf("%+v", first)
	}
	if second.Time != "1640995200.123" || second.Event != "second \ufffd" || second.Fields["time_unix_nano"] != "0" || len(all) != 2 {
		t.Errorf("%+v", second)
	}
}

func TestTimes(t *testing.T) {
	for nanoseconds, want := range map[int64]string{1: "0.000000001", 1e9: "1", 1_500_000_000: "1.5", 1_000_000_010: "1.00000001"} {
		if got := string(appendSeconds(nil, nanoseconds)); got != want {
			t.Errorf("%d is %s, want %s", nanoseconds, got, want)
		}
	}
}

func TestProbe(t *testing.T) {
	httpsinktest.Probes(t, base, Backend, "GET", "/services/collector/health")
}

func TestResponses(t *testing.T) {
	delivered := httpsinktest.Expected{Outcome: sink.Delivered}
	misconfigured := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Misconfigured}
	rejected := httpsinktest.Expected{Outcome: sink.Rejected, Reason: sink.Malformed}
	throttled := httpsinktest.Expected{Outcome: sink.Throttled, Reason: sink.NotNow}
	failed := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Status}
	unreadable := httpsinktest.Expected{Outcome: sink.Failed, Reason: sink.Unreadable}
	httpsinktest.Responses(t, base, Backend, map[string]httpsinktest.Expected{
		`200 {"text":"Success","code":0}`:           delivered,
		`200 {"text":"Success","code":0,"ackId":7}`: delivered,
		`200 `:                         unreadable,
		`200 {"text":"Success"}`:       unreadable,
		`200 {"text":"Odd","code":77}`: unreadable,
		`401 {"text":"Token is required","code":2}`:                                 misconfigured,
		`403 {"text":"Token disabled","code":1}`:                                    misconfigured,
		`403 {"text":"Invalid token","code":4}`:                                     misconfigured,
		`400 {"text":"Incorrect index","code":7,"invalid-event-number":1}`:          misconfigured,
		`400 {"text":"No data","code":5}`:                                           rejected,
		`400 {"text":"Invalid data format","code":6,"invalid-event-number":0}`:      rejected,
		`400 {"text":"Event field is required","code":12,"invalid-event-number":0}`: rejected,
		`400 {"text":"Event field cannot be blank","code":13}`:                      rejected,
		`503 {"text":"Server is busy","code":9}`:                                    throttled,
		`503 {"text":"Queues full","code":18}`:                                      throttled,
		`500 {"text":"Internal server error","code":8}`:                             failed,
		`413 too large`: {Outcome: sink.Rejected, Reason: sink.TooLarge},
		`404 not found`: misconfigured,
		`502 `:          failed,
	})
}

func TestRepeat(t *testing.T) { httpsinktest.Repeats(t, base, Backend) }

func BenchmarkEncode(b *testing.B) { httpsinktest.Benchmark(b, Backend) }
