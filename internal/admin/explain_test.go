package admin

import (
	"net/http"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	s := startSystem(t, "")
	s.send("web-1", 3)
	s.until("all is delivered", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.delivered.packets") == 3.0 })
	packet := s.ok("GET", "/v1/explain?emitter=web-1&packet=2", "")
	if packet.get("chosen") != packet.get("decisions.0.chosen") || packet.get("outcome.state") != "delivered" {
		t.Errorf("the latest decision is %s", packet.text)
	}
	if packet.get("decisions.0.cause") != "first" || packet.get("decisions.0.chosen") == nil || packet.get("decisions.0.outcome.state") != "delivered" || packet.get("decisions.0.candidates.1.id") != "a2" {
		t.Errorf("%s", packet.text)
	}
	next := s.ok("GET", "/v1/explain?messages=50&n=3", "")
	if next.get("next.2.chosen") == nil || next.get("next.3") != nil || next.get("next.0.messages") != 50.0 {
		t.Errorf("%s", next.text)
	}
	share := s.ok("GET", "/v1/explain?analyzer=a1", "")
	if share.get("share") != 0.6 || share.get("member") != true || !strings.HasPrefix(share.get("sentence").(string), "a1 gets 60 %") {
		t.Errorf("%s", share.text)
	}
	s.want(404, notFound, "GET", "/v1/explain?analyzer=none", "")
	unknown := s.want(404, notFound, "GET", "/v1/explain?emitter=web-1&packet=77", "")
	if !strings.Contains(unknown.get("detail").(string), "reaches back to") {
		t.Errorf("%s", unknown.text)
	}
	for _, query := range []string{"", "emitter=web-1", "packet=1", "n=x", "n=0", "messages=0", "analyzer=a1&n=1", "emitter=web-1&packet=1&analyzer=a1"} {
		s.want(400, malformed, "GET", "/v1/explain?"+query, "")
	}
}

func TestTrace(t *testing.T) {
	s := startSystem(t, "")
	s.send("web-1", 3)
	s.until("all is delivered", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.delivered.packets") == 3.0 })
	text := string(s.ok("GET", "/v1/trace?duration=0s&past=1000", "").text)
	if !strings.Contains(text, "logstreamer-trace/1") || strings.Count(text, `"e":"pick"`) != 3 || strings.Contains(text, "web-1") {
		t.Errorf("%s", text)
	}
	var open []*http.Response
	for range maxTraceStreams {
		open = append(open, s.open(t.Context(), "GET", "/v1/trace?duration=10m", ""))
	}
	s.want(429, tooManyStreams, "GET", "/v1/trace", "")
	s.want(400, malformed, "GET", "/v1/trace?duration=1h", "")
	for _, response := range open {
		s.must(response.Body.Close())
	}
	off := startSystem(t, "explain: 'off'\n")
	off.want(404, notFound, "GET", "/v1/trace", "")
	off.want(404, notFound, "GET", "/v1/explain?emitter=x&packet=y", "")
}
