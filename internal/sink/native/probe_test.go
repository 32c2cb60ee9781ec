package native

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// A probe that fails names its path, so that a path too many in an analyzer's URL is seen.
func TestProbePath(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	base, err := sink.ParseURL(server.URL + "/ingest")
	if err != nil {
		t.Fatal(err)
	}
	s := New(base.Base, nil, nil, slog.New(slog.DiscardHandler))
	defer s.probe.Close()
	got := s.Probe(t.Context(), time.Now().Add(time.Minute))
	if want := "the probe, GET /ingest/health, was answered with status 404"; got.Outcome != sink.Failed || got.Detail != want {
		t.Errorf("%+v, want %q", got, want)
	}
}
