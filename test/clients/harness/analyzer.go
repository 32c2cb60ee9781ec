package harness

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Message is a message that the analyzer has accepted.
type Message struct {
	EmitterID string            `json:"-"`
	PacketID  string            `json:"-"`
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Text      string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
	Types     map[string]string `json:"types"`
}

// Analyzer records the messages of all packets that it accepts. Like real analyzers, it drops
// duplicate packets, which are not an error of a client or an input. It may be used concurrently.
type Analyzer struct {
	URL string

	server   *httptest.Server
	mu       sync.Mutex // guards all below
	messages []Message
	packets  map[[2]string]bool // emitter_id and packet_id of accepted packets
	hanging  chan struct{}      // if it is not nil, requests wait until it is closed
}

// NewAnalyzer starts an analyzer, which ends with the test.
func NewAnalyzer(t *testing.T) *Analyzer {
	a := &Analyzer{packets: make(map[[2]string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Accept-Post", "application/x-ndjson")
	})
	mux.HandleFunc("POST /ingest", a.ingest)
	a.server = httptest.NewServer(mux)
	a.URL = a.server.URL
	t.Cleanup(func() {
		a.Resume()
		a.server.Close()
	})
	return a
}

// Hang makes requests wait until Resume; none of them counts as accepted.
func (a *Analyzer) Hang() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hanging == nil {
		a.hanging = make(chan struct{})
	}
}

// Resume ends Hang.
func (a *Analyzer) Resume() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hanging != nil {
		close(a.hanging)
		a.hanging = nil
	}
}

func (a *Analyzer) ingest(w http.ResponseWriter, r *http.Request) {
	messages, err := decode(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.mu.Lock()
	hanging := a.hanging
	a.mu.Unlock()
	if hanging != nil {
		select {
		case <-hanging:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known := make(map[[2]string]bool)
	for _, m := range messages {
		id := [2]string{m.EmitterID, m.PacketID}
		if _, begun := known[id]; !begun {
			known[id] = a.packets[id]
			a.packets[id] = true
		}
		if !known[id] {
			a.messages = append(a.messages, m)
		}
	}
}

// decode returns the messages of packets, one a line or one alone.
func decode(body io.Reader) (messages []Message, err error) {
	decoder := json.NewDecoder(bufio.NewReader(body))
	for {
		var p struct {
			EmitterID string    `json:"emitter_id"`
			PacketID  string    `json:"packet_id"`
			Messages  []Message `json:"messages"`
		}
		if err := decoder.Decode(&p); err == io.EOF {
			return messages, nil
		} else if err != nil {
			return nil, err
		}
		for _, m := range p.Messages {
			m.EmitterID, m.PacketID = p.EmitterID, p.PacketID
			messages = append(messages, m)
		}
	}
}

// Messages returns the accepted messages, in the order of arrival.
func (a *Analyzer) Messages() []Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Message(nil), a.messages...)
}

// Counts returns the number of occurrences of each text with a prefix.
func (a *Analyzer) Counts(prefix string) map[string]int {
	counts := make(map[string]int)
	for _, m := range a.Messages() {
		if strings.HasPrefix(m.Text, prefix) {
			counts[m.Text]++
		}
	}
	return counts
}

// AwaitOnce waits until all texts have arrived, and fails the test unless each arrived once and no
// other text with the prefix did.
func (a *Analyzer) AwaitOnce(t *testing.T, prefix string, texts []string) {
	t.Helper()
	a.AwaitAll(t, prefix, texts)
	want := make(map[string]int)
	for _, text := range texts {
		want[text] = 1
	}
	got := a.Counts(prefix)
	if maps.Equal(got, want) {
		return
	}
	for text, n := range got {
		if n != want[text] {
			t.Errorf("%q came %d times, want %d, in %q", text, n, want[text], a.packetsOf(text))
			return
		}
	}
}

// packetsOf returns the ids of the packets that contained a text.
func (a *Analyzer) packetsOf(text string) (ids []string) {
	for _, m := range a.Messages() {
		if m.Text == text {
			ids = append(ids, m.PacketID)
		}
	}
	return ids
}

// AwaitAll waits until all texts have arrived, once or more often.
func (a *Analyzer) AwaitAll(t *testing.T, prefix string, texts []string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			arrived := a.Messages()
			t.Logf("%d messages have arrived, such as %+v", len(arrived), arrived[:min(len(arrived), 1)])
		}
	}()
	await(t, "all messages arrive", func() bool {
		counts := a.Counts(prefix)
		for _, text := range texts {
			if counts[text] == 0 {
				return false
			}
		}
		return true
	})
}

// await polls a condition.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(time.Minute)
	for !holds() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("not after a minute: %s", what)
		}
	}
}
