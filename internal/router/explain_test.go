package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// routeOne adds a packet, routes it, and returns its id.
func routeOne(t testing.TB, h *harness, messages int) (packetID string) {
	t.Helper()
	h.add(t, messages)
	if !h.Round(t.Context(), time.Now()) {
		t.Fatal("the packet is not routed")
	}
	return fmt.Sprint(h.added)
}

func explain(t testing.TB, h *harness, packetID string) Explanation {
	t.Helper()
	explained, err := h.Explain([]byte("e"), []byte(packetID))
	if err != nil {
		t.Fatal(err)
	}
	return explained
}

// encode returns the JSON of an explanation without its sequence number.
func encode(t testing.TB, e Explanation) string {
	t.Helper()
	e.Seq = 0
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The explanation has the deficits at the time of the pick, also after further picks.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 0.5, 0.3, 0.2)
		h.analyzers[0].set(func(a *analyzer) { a.capacity = 1000 })
		h.analyzers[2].set(func(a *analyzer) {
			a.capacity, a.transient, a.outage, a.until = 0, false, upstream.BreakerOpen, time.Now().Add(time.Minute)
		})
		routeOne(t, h, 40)
		second := routeOne(t, h, 8)
		for range 300 {
			routeOne(t, h, 3)
		}
		time.Sleep(4100 * time.Microsecond)
		for _, a := range h.analyzers {
			h.Delivered(a.id, a.take(unlimited))
		}
		got := explain(t, h, second)
		got.Seq, got.Earlier = 0, nil
		want := Explanation{
			Time: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Cause: "first", Messages: 8, Chosen: "a1", RunnerUp: "a0", Margin: 28, Bound: 20,
			Candidates: []Candidate{
				{ID: "a0", CandidateState: &CandidateState{Deficit: -10, Share: 0.625, Ramp: 1, Room: 999}},
				{ID: "a1", CandidateState: &CandidateState{Deficit: 18, Share: 0.375, Ramp: 1, Room: 1<<16 - 1}},
				{ID: "a2", Out: "breaker_open", Until: time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)},
			},
			Outcome: &Outcome{State: "delivered", Attempts: 1, LatencyMS: 4.1},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("explained\n%s, want\n%s", encode(t, got), encode(t, want))
		}
	})
}

// A packet that came back is explained with what happened to it, newest first.
func TestExplainReroutedPacket(t *testing.T) {
	h := newHarness(t, 0.9, 0.1)
	id := routeOne(t, h, 10)
	if got := explain(t, h, id); got.Chosen != "a0" || got.Outcome.State != "waiting" {
		t.Fatalf("routed to %s, %+v", got.Chosen, got.Outcome)
	}
	back := h.analyzers[0].take(1)
	fail(&back[0], time.Now(), false)
	h.Nacked("a0", back)
	h.Round(t.Context(), time.Now())
	got := explain(t, h, id)
	if got.Cause != "again" || got.Chosen != "a1" || got.RunnerUp != "" || got.Candidates[0].Out != "avoided" || got.Candidates[0].CandidateState == nil {
		t.Errorf("rerouted: %s", encode(t, got))
	}
	if len(got.Earlier) != 1 || got.Earlier[0].Cause != "first" || got.Earlier[0].Outcome.State != "rerouted" || got.Earlier[0].Outcome.Attempts != 1 {
		t.Errorf("earlier: %s", encode(t, got))
	}
	h.reject(h.analyzers[1], h.analyzers[1].take(1))
	if got := explain(t, h, id).Outcome; got.State != "dead_lettered" || got.Attempts != 2 {
		t.Errorf("rejected: %+v", got)
	}
}

func TestExplainReturnedPacket(t *testing.T) {
	h := newHarness(t, 1, 1)
	id := routeOne(t, h, 1)
	h.Nacked("a0", h.analyzers[0].take(1))
	h.Round(t.Context(), time.Now())
	if got := explain(t, h, id); got.Cause != "returned" || got.Chosen != "a1" {
		t.Errorf("a packet that only waited: %s", encode(t, got))
	}
	back := h.analyzers[1].take(1)
	back[0].Attempted = true
	h.Nacked("a1", back)
	h.Round(t.Context(), time.Now())
	if got := explain(t, h, id); got.Cause != "again" || got.Chosen != "a0" {
		t.Errorf("an attempted packet: %s", encode(t, got))
	}
}

// An outcome that comes after its pick was overwritten does not become that of another.
func TestLateOutcome(t *testing.T) {
	h := newHarness(t, 1)
	now := time.Now()
	routeOne(t, h, 1)
	late := h.analyzers[0].take(1)
	at := late[0].Packet.Pick
	id := ""
	for h.recorder.next < uint64(at)+2*ringEntries {
		id = routeOne(t, h, 1)
		if last := h.analyzers[0].take(1); last[0].Packet.Pick%ringEntries == at%ringEntries && last[0].Packet.Pick != at {
			h.Delivered("a0", last)
			break
		}
	}
	h.Delivered("a0", late)
	if got := explain(t, h, id); got.Outcome.State != "delivered" || got.Outcome.Attempts != 1 || got.Time.Before(now.Add(-time.Minute)) {
		t.Fatalf("%+v", got.Outcome)
	}
	if got := h.recorder.outcomeOf(uint64(at), 0).State; got != "waiting" {
		t.Errorf("the overwritten pick is %s", got)
	}
}

func TestExplainUnknownPacket(t *testing.T) {
	h := newHarness(t, 1)
	id := routeOne(t, h, 1)
	_, err := h.Explain([]byte("e"), []byte("nothing"))
	var unknown *UnknownPickError
	if !errors.As(err, &unknown) || unknown.NextSeq != h.recorder.next || unknown.OldestSeq != ringEntries || !strings.Contains(err.Error(), `packet "nothing" of emitter "e"`) {
		t.Errorf("an unknown packet: %v", err)
	}
	if _, err := h.Explain([]byte("other"), []byte(id)); !errors.As(err, &unknown) {
		t.Errorf("another emitter: %v", err)
	}
	off := New(Dependencies{})
	if _, err := off.Explain([]byte("e"), []byte(id)); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("without a recorder: %v", err)
	}
}

func TestExplainDecodesIDs(t *testing.T) {
	h := newHarness(t, 1)
	h.addBody(t, `{"emitter_id":"\u00e9","packet_id":"a\tb","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, 1)
	h.Round(t.Context(), time.Now())
	if _, err := h.Explain([]byte("é"), []byte("a\tb")); err != nil {
		t.Error(err)
	}
}

// Next says what the router does then.
func TestNext(t *testing.T) {
	h := newHarness(t, 0.5, 0.3, 0.2)
	for range 17 {
		routeOne(t, h, 7)
	}
	before := h.Stats()
	picks, err := h.Next(50, 10)
	if err != nil || len(picks) != 10 {
		t.Fatalf("%d picks, %v", len(picks), err)
	}
	if after := h.Stats(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("Next changed %v to %v", before, after)
	}
	for i, pick := range picks {
		if got := explain(t, h, routeOne(t, h, 50)); got.Chosen != pick.Chosen || got.Margin != pick.Margin || got.Bound != pick.Bound {
			t.Errorf("pick %d: Next says %s, the router did %s", i, encode(t, pick), encode(t, got))
		}
	}
	for _, c := range [][2]int{{0, 1}, {1 << 20, 1}, {1, 0}, {1, MaxNext + 1}} {
		if _, err := h.Next(c[0], c[1]); err == nil || !strings.Contains(err.Error(), "it must be from 1 to") {
			t.Errorf("Next(%v): %v", c, err)
		}
	}
	for _, a := range h.analyzers {
		must(t, h.SetOut(a.id, true))
	}
	if picks, err := h.Next(1, 1); err != nil || len(picks) != 0 {
		t.Errorf("with no eligible analyzer: %v, %v", picks, err)
	}
}

func TestExplainAnalyzer(t *testing.T) {
	h := newHarness(t, 0.5, 0.3, 0.2)
	h.analyzers[1].set(func(a *analyzer) { a.ramp = 0.5 })
	h.analyzers[2].set(func(a *analyzer) {
		a.capacity, a.transient, a.outage, a.until = 0, false, upstream.AskedPause, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	})
	h.Tick(time.Now())
	for id, want := range map[string]string{
		"a1": "a1 gets 23.08 % of messages: its weight 0.3 × ramp 0.5 is 0.15 of 0.65, the sum over the 2 of 3 analyzers that are eligible",
		"a2": "a2 gets no messages, because it is out (asked_pause until 2030-01-01T00:00:00Z); its weight is 0.2, and 2 of 3 analyzers are eligible, with weights that sum to 0.65",
	} {
		got, err := h.ExplainAnalyzer(id)
		if err != nil || got.Sentence != want {
			t.Errorf("%s: %+v, %v; want %s", id, got, err, want)
		}
	}
	must(t, h.SetOut("a1", true))
	if got, err := h.ExplainAnalyzer("a1"); err != nil || got.Out != "drain" || got.Share != 0 {
		t.Errorf("drained: %+v, %v", got, err)
	}
	if _, err := h.ExplainAnalyzer("a9"); err == nil || !strings.Contains(err.Error(), `"a9"`) {
		t.Errorf("an unknown analyzer: %v", err)
	}
}

// Times are right after hours without a pick, and reasons of outages are those of the last
// tick.
func TestExplainAfterHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, 1)
		out := func(until time.Time) {
			h.analyzers[1].set(func(a *analyzer) { a.capacity, a.transient, a.outage, a.until = 0, false, upstream.BreakerOpen, until })
			h.Tick(time.Now())
		}
		out(time.Now().Add(time.Second))
		time.Sleep(3 * time.Hour)
		until := time.Now().Add(time.Minute)
		out(until)
		time.Sleep(1234567 * time.Microsecond)
		id := routeOne(t, h, 1)
		if got := explain(t, h, id); !got.Time.Equal(time.Now()) || !got.Candidates[1].Until.Equal(until) {
			t.Errorf("at %v: %s", time.Now(), encode(t, got))
		}
	})
}
