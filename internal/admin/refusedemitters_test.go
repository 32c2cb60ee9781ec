package admin

import (
	"net/http"
	"strings"
	"testing"
)

// The API reports the refused emitters with the reasons, alone and in the overview.
func TestRefusedEmitters(t *testing.T) {
	s := startSystem(t, "")
	s.ok("PUT", "/v1/limits?emitter=web-1", `{"rate":0.001,"burst":1}`)
	post := func(body string) {
		response, err := http.Post("http://"+s.distributor.Addr()+"/ingest", "application/json", strings.NewReader(body))
		s.must(err)
		s.must(response.Body.Close())
	}
	for _, id := range []string{"1", "2", "3"} {
		post(`{"emitter_id":"web-1","packet_id":"` + id + `","messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`)
	}
	post(`{"emitter_id":"web-1","packet_id":"4","messages":[]}`)
	post(`{"emitter_id":"web-2","packet_id":"1","messages":[]}`)
	got := s.ok("GET", "/v1/refusals", "")
	if got.get("emitters.0.emitter") != "web-1" || got.get("emitters.0.packets") != 3.0 || got.get("emitters.1.emitter") != "web-2" ||
		got.get("emitters.0.by_reason.0.reason") != "rate_limited" || got.get("emitters.0.by_reason.0.packets") != 2.0 || got.get("emitters.0.by_reason.1.packets") != 1.0 {
		t.Errorf("%s", got.text)
	}
	if got := s.ok("GET", "/v1/refusals?emitter=web-2", ""); got.get("emitters.0.emitter") != "web-2" || got.get("emitters.1") != nil {
		t.Errorf("of one emitter: %s", got.text)
	}
	if got := s.ok("GET", "/v1/refusals?top=1", ""); got.get("emitters.1") != nil {
		t.Errorf("of one: %s", got.text)
	}
	s.want(400, malformed, "GET", "/v1/refusals?top=x", "")
	stream := s.follow("/v1/stream?overview=true")
	defer stream.close()
	stream.next() // the session
	event, _, data := stream.next()
	if refused, _ := data["refused_emitters"].([]any); event != "overview" || len(refused) != 2 {
		t.Errorf("%s %v", event, data)
	}
}
