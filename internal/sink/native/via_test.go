package native

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// probeVia returns the result of a probe whose response has a Via field, and what the sink learned.
func probeVia(t *testing.T, self, via string) (sink.Result, []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Via", via) }))
	defer server.Close()
	endpoint, err := sink.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := New(endpoint.Base, nil, nil, slog.New(slog.DiscardHandler))
	defer s.probe.Close()
	s.DetectLoops(self)
	result := s.Probe(t.Context(), time.Now().Add(time.Minute))
	return result, *s.gateways.Load()
}

func TestLoopsAreDetected(t *testing.T) {
	self, other, third := Pseudonym("self"), Pseudonym("other"), Pseudonym("third")
	for _, c := range []struct {
		via, reason, detail string
		learned             string
	}{
		{via: ""},
		{via: "1.1 varnish, 1.1 " + self + "x, 1.0 proxy (" + self + ")", learned: self + "x"},
		{via: "1.1 " + other + ", 1.1 " + third, learned: other + " " + third},
		{via: "1.1 " + self + ", 1.1 " + other, reason: sink.Loop, detail: "this distributor itself"},
		{via: "1.1 proxy, HTTP/1.1 " + other + " (comment), 1.1 " + self, reason: sink.Loop, detail: "sends packets back", learned: other},
		{via: "1.1 " + other + ", 1.1 " + third + ", 1.1 " + self + ", 1.1 " + self + "x", reason: sink.Loop, detail: "sends packets back", learned: other + " " + third},
		{via: "1.1 " + pseudonymPrefix + strings.Repeat("x", 100)},
	} {
		result, learned := probeVia(t, self, c.via)
		if result.Reason != c.reason || !strings.Contains(result.Detail, c.detail) || (result.Outcome == sink.Delivered) != (c.reason == "") || strings.Join(learned, " ") != c.learned {
			t.Errorf("%q: %+v, learned %q", c.via, result, learned)
		}
	}
	if result, _ := probeVia(t, "", "1.1 "+self); result.Outcome != sink.Delivered {
		t.Errorf("a sink that has no pseudonym: %+v", result)
	}
}

// A distributor names those that its sinks have learned of, at most as many as are read.
func TestViaNamesTheWay(t *testing.T) {
	near, far := new(Sink), new(Sink)
	near.gateways.Store(&[]string{"logstreamer-b", "logstreamer-c", "logstreamer-a", "logstreamer-b"})
	if name, value := Via("logstreamer-a", []*Sink{near, far}); name != "Via" || value != "1.1 logstreamer-a, 1.1 logstreamer-b, 1.1 logstreamer-c" {
		t.Errorf("%s: %s", name, value)
	}
	var many []string
	for n := range 100 {
		many = append(many, Pseudonym(fmt.Sprint(n)))
	}
	far.gateways.Store(&many)
	if _, value := Via("logstreamer-a", []*Sink{near, far}); strings.Count(value, ",") != maxGateways-1 {
		t.Error(value)
	}
}
