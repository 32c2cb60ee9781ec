package admin

import "testing"

// The API reports which emitters send most, once packets have come after somebody asked, where the
// ingest server is, and the limit that the journal is nearest to.
func TestSenders(t *testing.T) {
	s := startSystem(t, "")
	if got := s.ok("GET", "/v1/status", ""); got.get("ingest") != "http://"+s.distributor.Addr() || got.get("journal.limit") != "INGEST_BUFFER_SIZE" {
		t.Errorf("%s", got.text)
	}
	s.until("a sender is known", func() bool {
		got := s.ok("GET", "/v1/backlog", "")
		s.send("web-1", 1)
		return got.get("senders.0.emitter") == "web-1" && got.get("senders.0.share") == 1.0
	})
}
