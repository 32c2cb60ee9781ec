package distributor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/tap"
)

// sendAs sends a packet with one message of an emitter.
func (s *system) sendAs(t testing.TB, emitter, query string) {
	t.Helper()
	id, body := s.newPacket(1)
	body = bytes.Replace(body, []byte(`"emitter_id":"e"`), fmt.Appendf(nil, `"emitter_id":%q`, emitter), 1)
	response, err := s.client.Post("http://"+s.Addr()+"/ingest"+query, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode == http.StatusAccepted {
		s.note(response.StatusCode, map[string]int{id: 1})
	}
}

// Replayed dead letters are accepted again, delivered, and balance in the ledger; they bypass the
// duplicate window and the rate limit.
func TestReplay(t *testing.T) {
	for _, kind := range []string{JournalMemory, JournalDisk} {
		t.Run(kind, func(t *testing.T) {
			a := analyzertest.New(t)
			a.Behave(analyzertest.Behaviour{Status: 422})
			config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
			config.Journal, config.DedupeWindow = kind, time.Minute
			config.Rate.Rate, config.Rate.Burst = 0.001, 20
			s := startSystem(t, config)
			const many = 20
			for range many {
				s.send(1)
			}
			s.onlyAccepted(t)
			until(t, "all are dead letters", func() bool { return s.Status().DeadLettered.Packets == many })
			if status, _, _ := s.send(1); status != http.StatusTooManyRequests {
				t.Errorf("the rate limit answers %d", status)
			}
			a.Behave(analyzertest.Behaviour{})
			all := deadletter.Selection{Filter: &deadletter.Filter{Analyzer: "one"}, ExpectCount: many}
			if _, err := s.Replayer().Start(t.Context(), all, 1e6); err != nil {
				t.Fatal(err)
			}
			until(t, "all are replayed", func() bool { return s.Replayer().Replays()[0].State == deadletter.ReplayDone })
			until(t, "all are delivered", func() bool { return s.Status().Delivered.Packets == many })
			status := s.Status()
			if status.Accepted.Packets != 2*many || status.DeadLettered.Packets != many || status.Unaccounted != 0 {
				t.Errorf("%+v", status)
			}
			if got := s.scrape(t)["distributor_dead_letters_replayed_total"]; got != many {
				t.Errorf("%v are counted", got)
			}
			page, err := s.DeadLetters().List(t.Context(), deadletter.Filter{State: deadletter.Replayed}, "", many+1)
			if err != nil || len(page.Records) != many {
				t.Errorf("%d are marked, %v", len(page.Records), err)
			}
			s.stop(t)
			s.nothingLost(t, a)
		})
	}
}

// A replay without an eligible analyzer waits, and a stop ends it.
func TestReplayWaitsForAnalyzers(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Status: 422})
	s := startSystem(t, quick(t, Target{ID: "one", URL: a.URL(), Weight: 1}))
	s.send(1)
	until(t, "there is a dead letter", func() bool { return s.Status().DeadLettered.Packets == 1 })
	a.Behave(analyzertest.Behaviour{Refuse: true})
	until(t, "no analyzer is healthy", func() bool { return s.eligible() == 0 })
	if _, err := s.Replayer().Start(t.Context(), deadletter.Selection{Filter: &deadletter.Filter{}, ExpectCount: 1}, 1); err != nil {
		t.Fatal(err)
	}
	until(t, "the replay waits", func() bool {
		p := s.Replayer().Replays()[0]
		return p.State == deadletter.ReplayWaiting && p.Reason == errNoAnalyzer.Error()
	})
	s.stop(t)
	if p := s.Replayer().Replays()[0]; p.State != deadletter.ReplayCanceled || p.Done != 0 {
		t.Errorf("%+v", p)
	}
}

// A tap shows packets at each stage.
func TestTap(t *testing.T) {
	for _, kind := range []string{JournalMemory, JournalDisk} {
		t.Run(kind, func(t *testing.T) {
			a := analyzertest.New(t)
			config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
			config.Journal = kind
			config.Rate.Rate, config.Rate.Burst = 0.001, 2
			s := startSystem(t, config)
			events, err := s.Tap(tap.Options{Emitter: "web-*", Bodies: true})
			if err != nil {
				t.Fatal(err)
			}
			s.sendAs(t, "other", "")
			s.sendAs(t, "web-1", "")
			next(t, events, tap.Accepted, tap.Routed, tap.Delivered)
			a.Behave(analyzertest.Behaviour{Status: 422})
			s.sendAs(t, "web-1", "?ack=queued") // another goroutine than the event loop closes it
			letter := next(t, events, tap.Accepted, tap.Routed, tap.DeadLettered)[tap.DeadLettered]
			if letter.Reason != "invalid_packet" || letter.Detail == "" || letter.Analyzer != "one" || !strings.Contains(letter.Body, `"web-1"`) {
				t.Errorf("%+v", letter)
			}
			s.sendAs(t, "web-1", "")
			if refused := next(t, events, tap.Refused)[tap.Refused]; refused.Reason != "rate_limited" || refused.PacketID != "4" || refused.Level != "INFO" {
				t.Errorf("%+v", refused)
			}
			s.stop(t)
			if _, err := s.Tap(tap.Options{}); err == nil {
				t.Error("a tap is opened after a stop")
			}
		})
	}
}

// next reads an event for each of the stages, in any order.
func next(t *testing.T, events *tap.Tap, stages ...tap.Stage) map[tap.Stage]tap.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make(map[tap.Stage]tap.Event)
	for range stages {
		e, err := events.Next(ctx)
		if err != nil {
			t.Fatalf("%v; so far %v", err, got)
		}
		if e.EmitterID != "web-1" || e.Messages != 1 || e.Body == "" {
			t.Errorf("%+v", e)
		}
		got[e.Stage] = e
	}
	for _, stage := range stages {
		if _, shown := got[stage]; !shown {
			t.Errorf("%s is missing: %v", stage, got)
		}
	}
	return got
}

// The backlog reports where packets are, their emitters, and their age.
func TestBacklog(t *testing.T) {
	for _, kind := range []string{JournalMemory, JournalDisk} {
		t.Run(kind, func(t *testing.T) {
			a := analyzertest.New(t)
			config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
			config.Journal = kind
			config.Analyzer.MaxFailures = 1000
			s := startSystem(t, config)
			if b := s.Backlog(5); b.Total.Packets != 0 || b.OldestAge != 0 || b.DrainTime != 0 || len(b.Emitters) != 0 || len(b.Analyzers) != 1 {
				t.Errorf("empty: %+v", b)
			}
			a.Behave(analyzertest.Behaviour{Hang: true})
			const many = 400
			for i := range many {
				s.sendAs(t, []string{"noisy", "noisy", "noisy", "quiet"}[i%4], "")
			}
			var b Backlog
			until(t, "nothing moves", func() bool {
				b = s.Backlog(1)
				return b.Total.Packets == many && b.Total.Packets-b.Analyzers[0].InFlight.Packets == b.Sampled
			})
			if sum := b.Journal.Plus(b.Router).Plus(b.Analyzers[0].Queued).Plus(b.Analyzers[0].InFlight); sum != b.Total {
				t.Errorf("%+v", b)
			}
			if len(b.Emitters) != 1 || b.Emitters[0].ID != "noisy" || b.OldestAge <= 0 || b.OldestAge > time.Hour {
				t.Errorf("%+v", b)
			}
			a.Behave(analyzertest.Behaviour{})
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			_, _ = s.Stop(ctx)
		})
	}
}

// The history has the rates and the state, and its followers get each snapshot.
func TestHistory(t *testing.T) {
	a := analyzertest.New(t)
	s := startSystem(t, quick(t, Target{ID: "one", URL: a.URL(), Weight: 1}))
	take := newSnapshots(s.Distributor)
	now := time.Now()
	take.take(now)
	for range 10 {
		s.send(3)
	}
	until(t, "all are delivered", func() bool { return s.Status().Delivered.Packets == 10 })
	snapshot := take.take(now.Add(2 * time.Second))
	got := make(map[string]float64)
	for _, n := range snapshot.Numbers {
		got[n.Name] = n.Value
	}
	for _, n := range snapshot.Analyzers[0].Numbers {
		got["one/"+n.Name] = n.Value
	}
	for name, want := range map[string]float64{
		"accepted_packets_per_s": 5, "accepted_messages_per_s": 15, "delivered_messages_per_s": 15, "dead_lettered_packets_per_s": 0,
		"refused_malformed_per_s": 0, "undelivered_packets": 0, "oldest_age_s": 0, "unaccounted_messages": 0, "healthy_analyzers": 1,
		"one/routed_messages_per_s": 15, "one/share": 1, "one/target": 1, "one/healthy": 1,
	} {
		if value, known := got[name]; !known || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
	if snapshot.Texts[0].Value != "normal" || snapshot.Analyzers[0].ID != "one" {
		t.Errorf("%+v", snapshot)
	}
	viewer, err := s.History().Subscribe("")
	if err != nil {
		t.Fatal(err)
	}
	e, err := viewer.Next(t.Context())
	var read struct {
		Texts     struct{ State string }
		Analyzers map[string]any
	}
	if err != nil || json.Unmarshal(e.Data, &read) != nil || read.Texts.State != "normal" || read.Analyzers["one"] == nil {
		t.Errorf("%s %v", e.Data, err)
	}
	s.stop(t)
	for err == nil { // snapshots until the stop
		_, err = viewer.Next(t.Context())
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}

// A handover ends the running replay: with a journal in memory, packets that the replay appended
// afterwards would be lost. If the distributor continues, dead letters can be replayed again.
func TestHandoverEndsReplays(t *testing.T) {
	a := analyzertest.New(t)
	a.Behave(analyzertest.Behaviour{Status: 422})
	s := startSystem(t, quick(t, Target{ID: "one", URL: a.URL(), Weight: 1}))
	const many = 100
	for range many {
		s.send(1)
	}
	until(t, "all are dead letters", func() bool { return s.Status().DeadLettered.Packets == many })
	a.Behave(analyzertest.Behaviour{Hang: true})
	replay := func(packets int64) {
		t.Helper()
		all := deadletter.Selection{Filter: &deadletter.Filter{State: deadletter.Stored}, ExpectCount: packets}
		if _, err := s.Replayer().Start(t.Context(), all, 20); err != nil {
			t.Fatal(err)
		}
	}
	replay(many)
	until(t, "one dead letter is replayed", func() bool { return s.Replayer().Replays()[0].Done > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Handover(ctx); !errors.Is(err, ErrUndelivered) {
		t.Fatal(err)
	}
	before := s.Replayer().Replays()[0]
	if before.State != deadletter.ReplayCanceled {
		t.Errorf("%+v", before)
	}
	a.Behave(analyzertest.Behaviour{})
	replay(many - before.Done)
	until(t, "another one is replayed", func() bool { return s.Replayer().Replays()[0].Done > 0 })
	sockets, err := s.Handover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sockets.Close()
	if p := s.Replayer().Replays()[0]; p.State != deadletter.ReplayCanceled || int64(len(a.Taken())) != before.Done+p.Done {
		t.Errorf("%d packets are delivered; before: %+v, at the end: %+v", len(a.Taken()), before, p)
	}
}
