package distributor

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/simulate"
)

// Each pick of a running distributor, whose analyzers join and leave, is traced and reproduced, and
// the latest picks are explained.
func TestTraceOfARunningDistributorIsReproduced(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	end := s.load(4, true)
	traced := make(chan error, 1)
	var text bytes.Buffer
	go func() { traced <- s.Trace(t.Context(), &text, router.TraceLimit{Picks: 3000}) }()
	for i := range 10 {
		for _, change := range []func(*Config){
			func(c *Config) { c.change("analyzer-2", func(t *Target) { t.Weight = 0.1 + float64(i)/10 }) },
			func(c *Config) {
				c.change("analyzer-3", func(t *Target) { t.State = []string{StateDrain, StateReady}[i%2] })
			},
			func(c *Config) { c.remove("analyzer-1") },
			func(c *Config) { c.Targets = append(c.Targets, targets[0]) },
		} {
			if err := s.reconfigure(t, change); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-traced; err != nil {
		t.Fatal(err)
	}
	end()
	trace, err := simulate.ReadTrace(&text)
	if err != nil {
		t.Fatal(err)
	}
	if r := trace.Replay; !r.Exact() || r.Picks < 3000 {
		t.Error(r)
	}
	s.onlyAccepted(t)
}

func TestExplainADelivery(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	body := `{"emitter_id":"web-1","packet_id":"42","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
	response, err := http.Post(fmt.Sprintf("http://%s/ingest?ack=delivered", s.Addr()), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	got, err := s.Explain([]byte("web-1"), []byte("42"))
	if err != nil || response.StatusCode != http.StatusOK || got.Chosen == "" || got.Messages != 1 || got.Outcome.State != "delivered" || got.Outcome.Attempts != 1 ||
		len(got.Candidates) != 3 || time.Since(got.Time) > time.Minute {
		t.Errorf("%d, %+v, %v", response.StatusCode, got, err)
	}
	if next, err := s.Next(5, 2); err != nil || len(next) != 2 {
		t.Errorf("next: %v, %v", next, err)
	}
	if why, err := s.ExplainAnalyzer("analyzer-2"); err != nil || !strings.HasPrefix(why.Sentence, "analyzer-2 gets ") {
		t.Errorf("%+v, %v", why, err)
	}
}
