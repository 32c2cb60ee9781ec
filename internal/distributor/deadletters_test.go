package distributor

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/deadletter"
)

// With a disk journal a packet whose dead letter cannot be written waits, counts as queued,
// and becomes a dead letter when the store is writable.
func TestUnwrittenDeadLettersWait(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Status: 422})
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Journal = JournalDisk
	config.Ingest.AckTimeout = 50 * time.Millisecond
	folder := filepath.Join(config.DataDir, deadletter.Folder)
	s := startSystem(t, config)
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const many = 50
	for range many - 1 {
		s.send(2)
	}
	if status, body := s.ask(t, "?ack=delivered", "waits"); status != http.StatusGatewayTimeout {
		t.Errorf("ack=delivered: %d %s", status, body)
	}
	s.only(t, http.StatusAccepted)
	until(t, "each was refused", func() bool { return s.router.Stats().Waiting.Packets == many })
	if got := s.scrape(t)["distributor_dead_letter_write_errors_total"]; got < many {
		t.Errorf("%v failures to write are counted", got)
	}
	_, ledger := s.get(t, "/ledger")
	wantTerm(t, ledger, "dead_lettered", 0, 0)
	if got := s.journal.Stats().Acknowledged.Packets; got != 0 {
		t.Errorf("the journal has forgotten %d packets", got)
	}
	if status := s.Status(); status.Unaccounted != 0 || !status.Analyzers[0].Healthy || s.router.Stats().Quarantined != 0 {
		t.Errorf("%d messages are unaccounted; the analyzer is healthy: %v; %d packets are set apart",
			status.Unaccounted, status.Analyzers[0].Healthy, s.router.Stats().Quarantined)
	}
	if status, body := s.ask(t, "", "waits"); status != http.StatusAccepted || !strings.Contains(body, `"duplicate":true`) {
		t.Errorf("sent again it is answered %d %s", status, body)
	}

	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	until(t, "all are dead letters", func() bool { return s.Status().DeadLettered.Packets == many })
	if got := s.scrape(t)["distributor_dead_lettered_packets_total{analyzer=one,reason=invalid_packet}"]; got != many {
		t.Errorf("%v dead letters are counted, want %d", got, many)
	}
	_, ledger = s.get(t, "/ledger")
	wantTerm(t, ledger, "accepted", many, 2*many-1)
	wantTerm(t, ledger, "dead_lettered", many, 2*many-1)
	wantTerm(t, ledger, "queued", 0, 0)
	wantTerm(t, ledger, "in_flight", 0, 0)
	if got := ledger["unaccounted_messages"]; got != 0.0 {
		t.Errorf("%v messages are unaccounted", got)
	}
	s.stop(t)
	var letters bytes.Buffer
	if err := deadletter.Export(folder, &letters); err != nil {
		t.Fatal(err)
	}
	for id := 1; id < many; id++ {
		if got := strings.Count(letters.String(), fmt.Sprintf(`"packet_id":"%d"`, id)); got != 1 {
			t.Errorf("packet %d stands %d times among the dead letters", id, got)
		}
	}
}

// They are delivered if an analyzer takes them before.
func TestUnwrittenDeadLettersAreDelivered(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Status: 422})
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Journal = JournalDisk
	s := startSystem(t, config)
	if err := os.WriteFile(filepath.Join(config.DataDir, deadletter.Folder), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		s.send(1)
	}
	until(t, "each was refused", func() bool { return s.router.Stats().Waiting.Packets == 50 })
	a.Behave(analyzertest.Behaviour{})
	s.stop(t)
	s.nothingLost(t, a)
}
