package admin

import (
	"github.com/logstreamer/logstreamer/internal/adminapi"

	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// others are the other distributors of a cluster.
type others struct {
	all []Announcement
	err error
}

func (o *others) Others() ([]Announcement, error) { return o.all, o.err }

// A distributor without others is a cluster of one.
func TestClusterOfOne(t *testing.T) {
	s := startSystem(t, "")
	s.send("web-1", 3)
	s.until("all is delivered", func() bool { return s.ok("GET", "/v1/cluster", "").get("sum.ledger.delivered.packets") == 3.0 })
	got := s.ok("GET", "/v1/cluster", "")
	if got.get("distributors.0.name") != got.get("answered_by") || got.get("distributors.0.answers") != true || got.get("distributors.1") != nil ||
		got.get("distributors.0.admin") != s.url || got.get("distributors.0.version") != "1.2.3" || got.get("stored") != nil || got.get("connected") != true {
		t.Errorf("%s", got.text)
	}
}

// The sum is that of all distributors, each counted once.
func TestCluster(t *testing.T) {
	s := startSystem(t, "")
	s.send("web-1", 3)
	s.until("all is delivered", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.delivered.packets") == 3.0 })
	other := Identity{Name: "other:8080", Ingest: "http://other:8080", Version: "1.2.4", Started: time.Now()}
	text := other.Announce(s.Controller)
	earlier := strings.Replace(string(text), `"version":"1.2.4"`, `"version":"1.2.2"`, 1)
	var m adminapi.Distributor
	s.must(json.Unmarshal([]byte(earlier), &m))
	m.Started = m.Started.Add(-time.Hour)
	before, err := json.Marshal(m)
	s.must(err)
	s.others.all = []Announcement{{text, 1500 * time.Microsecond}, {before, 4 * time.Second}, {[]byte("{"), 0}, {[]byte("{}"), 0}}
	s.others.err = errors.New("NATS is down")
	got := s.ok("GET", "/v1/cluster", "")
	for path, want := range map[string]any{
		"sum.distributors": 2.0, "sum.ready": 2.0, "sum.ledger.accepted.packets": 6.0, "sum.ledger.delivered.messages": 6.0, "sum.ledger.unaccounted_messages": 0.0,
		"connected": false, "detail": "NATS is down", "distributors.2": nil,
	} {
		if got.get(path) != want {
			t.Errorf("%s is %v, want %v", path, got.get(path), want)
		}
	}
	at := "distributors.0."
	if got.get(at+"answers") == true {
		at = "distributors.1."
	}
	if got.get(at+"name") != "other:8080" || got.get(at+"version") != "1.2.4" || got.get(at+"answers") != false || got.get(at+"age") != "1ms" {
		t.Errorf("%s", got.text)
	}
}
