package distributor

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/tap"
)

// bodies are the request bodies that a server received. It answers with a status, and empty bodies,
// which are probes, with 200.
type bodies struct {
	*httptest.Server
	status int
	mu     sync.Mutex // guards texts
	texts  []string
}

func newBodies(t *testing.T, status int) *bodies {
	b := &bodies{status: status}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) == 0 {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.texts = append(b.texts, string(body))
		w.WriteHeader(b.status)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *bodies) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.texts)
}

// otlpRequest is a request with one record.
func otlpRequest(text string) []byte {
	dst, resourceLogs := protobuf.Open(nil, otlp.RequestResourceLogs)
	dst, scopeLogs := protobuf.Open(dst, otlp.ResourceLogsScopeLogs)
	dst, record := protobuf.Open(dst, otlp.ScopeLogsLogRecords)
	dst = protobuf.AppendFixed64(dst, otlp.RecordTime, 1_700_000_000_000_000_000)
	dst, body := protobuf.Open(dst, otlp.RecordBody)
	dst = protobuf.Close(protobuf.AppendText(dst, otlp.ValueString, []byte(text)), body)
	return protobuf.Close(protobuf.Close(protobuf.Close(dst, record), scopeLogs), resourceLogs)
}

func (s *system) postOTLP(t *testing.T, request []byte) {
	t.Helper()
	response, err := s.client.Post("http://"+s.Addr()+"/v1/logs", "application/x-protobuf", bytes.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	if _ = response.Body.Close(); response.StatusCode != http.StatusOK {
		t.Fatal(response.StatusCode)
	}
}

// written is the body of the packet of otlpRequest, up to its id.
func written(text string) string {
	return `{"emitter_id":"127.0.0.1","resource":{},"messages":[{"timestamp":1700000000000,"level":"INFO","message":"` + text +
		`","metadata":{"input":"otlp","severity_text":""}}],"packet_id":"otlp-`
}

// While all analyzers accept OTLP, the bodies of packets that came as OTLP are not written. Taps
// and dead letters have the complete packets, and a packet that became a dead letter may be sent
// again.
func TestDeferredPacketsAreComplete(t *testing.T) {
	b := newBodies(t, http.StatusBadRequest)
	config := quick(t, Target{ID: "a", URL: "otlp+" + b.URL, Weight: 1})
	config.Inputs = Inputs{{Name: InputHTTP}}
	s := startSystem(t, config)
	s.postOTLP(t, otlpRequest("unseen"))
	until(t, "the packet is a dead letter", func() bool { return s.Status().DeadLettered.Packets == 1 })
	seen, err := s.Tap(tap.Options{Bodies: true})
	if err != nil {
		t.Fatal(err)
	}
	s.postOTLP(t, otlpRequest("seen"))
	s.postOTLP(t, otlpRequest("unseen"))
	until(t, "the packets are dead letters", func() bool { return s.Status().DeadLettered.Packets == 3 })
	for _, stage := range []tap.Stage{tap.Accepted, tap.DeadLettered} {
		event, err := seen.Next(t.Context())
		for err == nil && event.Stage != stage {
			event, err = seen.Next(t.Context())
		}
		if err != nil || !strings.HasPrefix(event.Body, written("seen")) && !strings.HasPrefix(event.Body, written("unseen")) || event.Bytes != len(event.Body) {
			t.Errorf("%s: %v, %d bytes: %s", stage, err, event.Bytes, event.Body)
		}
	}
	seen.Close()
	s.stop(t)
	letters := exported(t, filepath.Join(config.DataDir, deadletter.Dir))
	for text, want := range map[string]int{"unseen": 2, "seen": 1} {
		if got := strings.Count(letters, written(text)); got != want {
			t.Errorf("%d dead letters are complete with %s, want %d: %s", got, text, want, letters)
		}
	}
}

// A packet that was accepted for analyzers with OTLP is written for an analyzer without it.
func TestDeferredPacketsForOtherAnalyzers(t *testing.T) {
	b := newBodies(t, http.StatusOK)
	config := quick(t, Target{ID: "a", URL: "otlp+" + b.URL, Weight: 1})
	config.Inputs = Inputs{{Name: InputHTTP}}
	s := startSystem(t, config)
	request := otlpRequest("first")
	s.postOTLP(t, request)
	until(t, "the first is delivered", func() bool { return s.Status().Delivered.Packets == 1 })
	next := s.Config()
	next.Dispatch = DispatchPaused
	if err := s.Reconfigure(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	s.postOTLP(t, otlpRequest("second"))
	if s.intake.Memory().Shared() == 0 {
		t.Error("the packet is not deferred")
	}
	next.Targets, next.Dispatch = Targets{{ID: "b", URL: b.URL, Weight: 1}}, DispatchRunning
	if err := s.Reconfigure(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	until(t, "the second is delivered", func() bool { return s.Status().Delivered.Packets == 2 })
	got := b.all()
	if len(got) != 2 || got[0] != string(request) || !strings.HasPrefix(got[1], written("second")) {
		t.Errorf("%q", got)
	}
	if status := s.Status(); status.Unaccounted != 0 || status.Delivered.Bytes != status.Accepted.Bytes {
		t.Errorf("%+v", status)
	}
	s.stop(t)
}
