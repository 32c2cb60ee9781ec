package native

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/logstreamer/logstreamer/internal/http1"
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

// A response may have any Via. What is learned of it is a list of distinct short pseudonyms, which the
// next distributor learns from this one's own field.
func FuzzVia(f *testing.F) {
	f.Add("1.1 logstreamer-b, 1.1 varnish, HTTP/1.1 logstreamer-c (comment), 1.1 logstreamer-b")
	f.Add("1.1 logstreamer-\xc2\xa0x,1.1\tlogstreamer-\x00,,1.1 logstreamer-,1.1 logstreamer-;")
	f.Add(strings.Repeat("1.1 logstreamer-b, 1.1 logstreamer-c", 40))
	f.Fuzz(func(t *testing.T, field string) {
		if !http1.IsText([]byte(field)) {
			return // the response would be malformed
		}
		learned := gatewaysOf(field)
		for i, one := range learned {
			if len(one) > maxPseudonymBytes || !strings.HasPrefix(one, pseudonymPrefix) || slices.Contains(learned[:i], one) || !strings.Contains(field, one) {
				t.Fatalf("%q is learned from %q", learned, field)
			}
		}
		self, s := "logstreamer-self", new(Sink)
		s.gateways.Store(&learned)
		_, value := Via(self, []*Sink{s})
		want := append([]string{self}, slices.DeleteFunc(slices.Clone(learned), func(one string) bool { return one == self })...)
		if got := gatewaysOf(value); !slices.Equal(got, want[:min(len(want), maxGateways)]) || !httpguts.ValidHeaderFieldValue(value) {
			t.Fatalf("%q is passed on as %q, which the next distributor reads as %q", field, value, got)
		}
	})
}
