package distributor

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer"
)

// startAnalyzers starts the project's own analyzers.
func startAnalyzers(t *testing.T, weights ...float64) ([]*analyzer.Analyzer, []Target) {
	t.Helper()
	var analyzers []*analyzer.Analyzer
	var targets []Target
	for i, weight := range weights {
		config := analyzer.DefaultConfig()
		config.Address, config.ID = "127.0.0.1:0", fmt.Sprint("analyzer-", i+1)
		a, err := analyzer.New(config, analyzer.Dependencies{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		a.Start()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := a.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
		analyzers = append(analyzers, a)
		targets = append(targets, Target{ID: config.ID, URL: "http://" + a.Addr(), Weight: weight})
	}
	return analyzers, targets
}

// Packets of 1 to 100 messages are sent at full speed, alone and as lines: at every scrape the
// deviation of each analyzer from its share is within the bound, and every accepted message is
// accounted for.
func TestSharesHoldAtEveryScrape(t *testing.T) {
	weights := []float64{0.5, 0.3, 0.2}
	_, targets := startAnalyzers(t, weights...)
	config := quick(t, targets...)
	s := startSystem(t, config)
	endSingle, endLines := s.load(6, false), s.load(2, true)
	defer endLines()
	defer endSingle()
	scrapes, worst := 0, 0.0
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); time.Since(began) < 3*time.Second; scrapes++ {
		<-look.C
		seen := s.scrape(t)
		if seen["distributor_unaccounted_messages"] != 0 {
			t.Fatalf("%v messages are unaccounted", seen["distributor_unaccounted_messages"])
		}
		messages := make([]float64, len(weights))
		total := 0.0
		for i, target := range targets {
			messages[i] = seen["distributor_messages_by_analyzer_total{analyzer="+target.ID+"}"]
			total += messages[i]
		}
		bound := seen["distributor_share_deviation_limit_messages"]
		for i, weight := range weights {
			off := math.Abs(messages[i] - weight*total)
			worst = max(worst, off)
			if off > bound+1 {
				t.Fatalf("%s got %v of %v messages: %v off its share, and the bound is %v",
					targets[i].ID, messages[i], total, off, bound)
			}
		}
		if bound > 200 {
			t.Fatalf("the bound is %v with packets of at most 100 messages", bound)
		}
	}
	endSingle()
	endLines()
	s.onlyAccepted(t)
	s.stop(t)
	status := s.Status()
	if status.Delivered != status.Accepted || status.Delivered.Packets != int64(s.acceptedPackets()) || status.Unaccounted != 0 {
		t.Errorf("accepted %v, delivered %v, emitters know of %d packets", status.Accepted, status.Delivered, s.acceptedPackets())
	}
	t.Logf("%d packets of %d messages; %d scrapes; at most %.1f messages off", status.Accepted.Packets, status.Accepted.Messages, scrapes, worst)
}
