package distributor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// ask posts a packet to /ingest with a query.
func (s *system) ask(t testing.TB, query, id string) (status int, body string) {
	t.Helper()
	packet := fmt.Sprintf(`{"emitter_id":"e","packet_id":"%s","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, id)
	response, err := s.client.Post("http://"+s.Addr()+"/ingest"+query, "application/json", strings.NewReader(packet))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text.String()
}

// wantTerm checks a term of the ledger.
func wantTerm(t testing.TB, ledger map[string]any, name string, packets, messages float64) {
	t.Helper()
	got, _ := ledger[name].(map[string]any)
	if got["packets"] != packets || got["messages"] != messages {
		t.Errorf("the ledger's %s is %v, want %v packets and %v messages", name, ledger[name], packets, messages)
	}
}

// Each level of ack gets its response, with either journal.
func TestAcks(t *testing.T) {
	for _, journal := range []string{JournalMemory, JournalDisk} {
		t.Run(journal, func(t *testing.T) {
			a := analyzertest.New(t)
			config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
			config.Journal = journal
			config.Intake.AckTimeout = time.Minute
			s := startSystem(t, config)
			stored := http.StatusAccepted
			if journal == JournalMemory {
				stored = http.StatusBadRequest
			}
			for i, c := range []struct {
				query  string
				status int
			}{
				{"", http.StatusAccepted}, {"?ack=queued", http.StatusAccepted}, {"?ack=stored", stored}, {"?ack=delivered", http.StatusOK},
			} {
				if status, body := s.ask(t, c.query, fmt.Sprint(i)); status != c.status {
					t.Errorf("%s is answered with %d %s, want %d", c.query, status, body, c.status)
				}
			}
			if _, taken := a.Taken()["3"]; !taken {
				t.Error("the packet is reported as delivered, and the analyzer does not have it")
			}

			a.Behave(analyzertest.Behaviour{Status: 413})
			if status, body := s.ask(t, "?ack=delivered", "dead"); status != http.StatusUnprocessableEntity || !strings.Contains(body, `"dead_lettered"`) {
				t.Errorf("a dead letter is answered with %d %s", status, body)
			}
			// A packet that became a dead letter can be sent again.
			a.Behave(analyzertest.Behaviour{})
			if status, body := s.ask(t, "?ack=delivered", "dead"); status != http.StatusOK {
				t.Errorf("sent again it is answered with %d %s", status, body)
			}
			s.stop(t)
		})
	}
}

// Requests with ack=delivered are answered during a stop.
func TestAckWhileStopping(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	s := startSystem(t, config)
	a.Behave(analyzertest.Behaviour{Hang: true})
	answered := make(chan string, 1)
	go func() {
		status, body := s.ask(t, "?ack=delivered", "p")
		answered <- fmt.Sprint(status, body)
	}()
	until(t, "the analyzer has it", func() bool { return a.Requests() > 0 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop(t)
	}()
	until(t, "the distributor stops", func() bool { return s.protocol.Ready() != nil })
	a.Behave(analyzertest.Behaviour{})
	if got := <-answered; !strings.HasPrefix(got, `200{"status":"delivered"`) {
		t.Errorf("answered %s", got)
	}
	<-stopped
}

// After an ack timeout the packet remains accepted and is delivered.
func TestAckTimeoutThenDelivered(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Intake.AckTimeout = 50 * time.Millisecond
	s := startSystem(t, config)
	a.Behave(analyzertest.Behaviour{Hang: true})
	if status, body := s.ask(t, "?ack=delivered", "p"); status != http.StatusGatewayTimeout || !strings.Contains(body, "remains accepted") {
		t.Errorf("answered %d %s", status, body)
	}
	if got := s.scrape(t)["distributor_total_packets_total"]; got != 1 {
		t.Errorf("%v packets are accepted", got)
	}
	a.Behave(analyzertest.Behaviour{})
	until(t, "the packet is delivered", func() bool { return s.Status().Delivered.Packets == 1 })
	for name, value := range s.scrape(t) {
		if strings.HasPrefix(name, "distributor_refused_packets_total") && value != 0 {
			t.Errorf("%s is %v", name, value)
		}
	}
	s.stop(t)
}

// With a disk journal, packets are accepted without analyzers; accepted packets are duplicates
// and delivered after a restart, and the ledger balances.
func TestDiskJournalOverRestart(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Refuse: true})
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Journal = JournalDisk
	s := startAlone(t, config)
	for _, want := range []string{`{"status":"accepted","packet_id":"p"}`, `{"status":"accepted","packet_id":"p","duplicate":true}`} {
		if status, body := s.ask(t, "", "p"); status != http.StatusAccepted || body != want {
			t.Errorf("answered %d %s, want %s", status, body, want)
		}
	}
	status, page := s.get(t, "/readyz")
	if detail, _ := page["detail"].(string); status != 200 || !strings.Contains(detail, "no analyzer is healthy") {
		t.Errorf("/readyz answers %d %v", status, page)
	}
	if status, _ := s.get(t, "/health"); status != 503 {
		t.Errorf("/health answers %d", status)
	}
	_, ledger := s.get(t, "/ledger")
	wantTerm(t, ledger, "accepted", 1, 1)
	wantTerm(t, ledger, "queued", 1, 1)
	wantTerm(t, ledger, "delivered", 0, 0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if left, _ := s.Stop(ctx); left.Packets != 1 {
		t.Errorf("%v are left", left)
	}

	a.Behave(analyzertest.Behaviour{})
	s = startSystem(t, config)
	if status, body := s.ask(t, "", "p"); status != http.StatusAccepted || !strings.Contains(body, `"duplicate":true`) {
		t.Errorf("after a restart it is answered with %d %s", status, body)
	}
	until(t, "the packet is delivered", func() bool { return s.Status().Delivered.Packets == 1 })
	_, ledger = s.get(t, "/ledger")
	wantTerm(t, ledger, "accepted", 1, 1)
	wantTerm(t, ledger, "queued", 0, 0)
	wantTerm(t, ledger, "in_flight", 0, 0)
	wantTerm(t, ledger, "delivered", 1, 1)
	if ledger["unaccounted_messages"] != 0.0 {
		t.Errorf("%v", ledger)
	}
	if got := a.Requests(); got != 1 {
		t.Errorf("the analyzer got %d requests, want 1", got)
	}
	s.stop(t)
}

// An unreadable file of the duplicate window does not fail the start and loses no packet; a
// directory that cannot be created fails the start.
func TestDedupeDirCannotBeRead(t *testing.T) {
	analyzers, targets := threeScripted(t)
	config := quick(t, targets...)
	config.Journal = JournalDisk
	startSystem(t, config).stop(t)
	dir := config.dedupe().Dir
	makeUnusable(t, dir)
	s := startSystem(t, config)
	s.send(1)
	s.stop(t)
	s.nothingLost(t, analyzers...)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600), os.Mkdir(dir+".unreadable", 0o700)); err != nil {
		t.Fatal(err)
	}
	for n := range 101 { // all names for what is set aside
		if err := os.MkdirAll(fmt.Sprintf("%s.unreadable-%d", dir, n), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(config, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "DEDUPE_WINDOW_SEC: ") {
		t.Errorf("New: %v", err)
	}
}

// makeUnusable creates a directory at the path of a file of the window.
func makeUnusable(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ids"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	path := files[0]
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o750)); err != nil {
		t.Fatal(err)
	}
}
