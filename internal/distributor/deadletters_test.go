package distributor

import (
	"bytes"
	"fmt"
	"io"
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
	config.Intake.AckTimeout = 50 * time.Millisecond
	dir := filepath.Join(config.DataDir, deadletter.Dir)
	s := startSystem(t, config)
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const many = 50
	for range many - 1 {
		s.send(2)
	}
	if status, body := s.ask(t, "?ack=delivered", "waits"); status != http.StatusGatewayTimeout {
		t.Errorf("ack=delivered: %d %s", status, body)
	}
	s.onlyAccepted(t)
	until(t, "each was refused", func() bool { return s.router.Stats().Waiting.Packets == many })
	s.wantUnwritten(t, many)
	if status, body := s.ask(t, "", "waits"); status != http.StatusAccepted || !strings.Contains(body, `"duplicate":true`) {
		t.Errorf("a packet that is sent again is answered %d %s", status, body)
	}

	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	until(t, "all are dead letters", func() bool { return s.Status().DeadLettered.Packets == many })
	s.wantDeadLetters(t, many)
	s.stop(t)
	letters := exported(t, dir)
	for id := 1; id < many; id++ {
		if got := strings.Count(letters, fmt.Sprintf(`"packet_id":"%d"`, id)); got != 1 {
			t.Errorf("packet %d is in the dead letters %d times", id, got)
		}
	}
}

// wantUnwritten checks that packets whose dead letters cannot be written count as queued, and are
// not attributed to the analyzer.
func (s *system) wantUnwritten(t *testing.T, packets float64) {
	t.Helper()
	if got := s.scrape(t)["distributor_dead_letter_write_errors_total"]; got < packets {
		t.Errorf("%v failures to write are counted", got)
	}
	_, ledger := s.get(t, "/ledger")
	wantTerm(t, ledger, "dead_lettered", 0, 0)
	if got := s.journal.Stats().Acknowledged.Packets; got != 0 {
		t.Errorf("the journal has forgotten %d packets", got)
	}
	if status := s.Status(); status.Unaccounted != 0 || !status.Analyzers[0].Healthy || s.router.Stats().Quarantined != 0 {
		t.Errorf("%d messages are unaccounted; the analyzer is healthy: %v; %d packets are quarantined",
			status.Unaccounted, status.Analyzers[0].Healthy, s.router.Stats().Quarantined)
	}
}

// wantDeadLetters checks that the dead letters of all packets are written and counted.
func (s *system) wantDeadLetters(t *testing.T, packets float64) {
	t.Helper()
	if got := s.scrape(t)["distributor_dead_lettered_packets_total{analyzer=one,reason=invalid_packet}"]; got != packets {
		t.Errorf("%v dead letters are counted, want %v", got, packets)
	}
	_, ledger := s.get(t, "/ledger")
	wantTerm(t, ledger, "accepted", packets, 2*packets-1)
	wantTerm(t, ledger, "dead_lettered", packets, 2*packets-1)
	wantTerm(t, ledger, "queued", 0, 0)
	wantTerm(t, ledger, "in_flight", 0, 0)
	if got := ledger["unaccounted_messages"]; got != 0.0 {
		t.Errorf("%v messages are unaccounted", got)
	}
}

// exported returns the dead letters in a directory.
func exported(t *testing.T, dir string) string {
	t.Helper()
	var letters bytes.Buffer
	if err := deadletter.Export(dir, &letters); err != nil {
		t.Fatal(err)
	}
	return letters.String()
}

// Waiting packets are delivered if an analyzer accepts them before their dead letters are written.
func TestUnwrittenDeadLettersAreDelivered(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Status: 422})
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Journal = JournalDisk
	s := startSystem(t, config)
	if err := os.WriteFile(filepath.Join(config.DataDir, deadletter.Dir), nil, 0o600); err != nil {
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

// A packet that became a dead letter can be sent again, with a token, too.
func TestDeadLetterOfATokenIsSentAgain(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Status: 422})
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.DedupeWindow = time.Minute
	config.TokensFile = filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(config.TokensFile, []byte(tokenOfA), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSystem(t, config)
	_, body := s.newPacket(1)
	for n := range int64(2) {
		request, err := http.NewRequest(http.MethodPost, "http://"+s.Addr()+"/ingest", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer a")
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusAccepted || strings.Contains(string(text), "duplicate") {
			t.Fatalf("the packet is answered %d %s", response.StatusCode, text)
		}
		until(t, "the packet is a dead letter", func() bool { return s.Status().DeadLettered.Packets == n+1 })
	}
}
