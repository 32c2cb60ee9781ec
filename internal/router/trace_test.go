package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
)

// readTrace returns the lines of a trace.
func readTrace(t testing.TB, text []byte) (header TraceHeader, lines []TraceEvent) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	must(t, decoder.Decode(&header))
	for {
		var line TraceEvent
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			return header, lines
		}
		must(t, err)
		lines = append(lines, line)
	}
}

// replayTrace returns how many picks are as recorded, of how many, and the state at the end.
func replayTrace(t testing.TB, header TraceHeader, lines []TraceEvent) (same, picks int, state fairshare.State) {
	t.Helper()
	p, err := NewTraceReplay(header.TraceState)
	must(t, err)
	for _, line := range lines {
		switch line.Kind {
		case TracePacket:
			continue
		case TraceReset, TraceGap:
			p, err = NewTraceReplay(*line.State)
			must(t, err)
			continue
		}
		matches, err := p.Apply(line)
		must(t, err)
		if line.Kind == TracePick {
			picks++
			if matches {
				same++
			}
		}
	}
	p.replay.table.Save(&state)
	return same, picks, state
}

// stir routes packets while analyzers come and go, fail and fill up.
func stir(t testing.TB, h *harness, rounds int) {
	t.Helper()
	now := time.Now()
	for i := range rounds {
		h.addMany(t, 40)
		a := h.analyzers[i%len(h.analyzers)]
		a.set(func(a *analyzer) { a.capacity, a.transient, a.ramp = i*i%60, i%3 != 0, 0.1+float64(i%10)/10 })
		h.Tick(now)
		h.Round(t.Context(), now)
		switch i % 7 {
		case 1:
			h.Nacked(a.id, a.take(5))
		case 2:
			h.addAnalyzer(t, 0.4)
		case 3:
			h.removeAnalyzer(t, h.analyzers[len(h.analyzers)-1])
		case 4:
			must(t, h.SetWeight(a.id, 0.1+float64(i%5)))
		case 5:
			h.Delivered(a.id, a.take(unlimited))
		}
		now = now.Add(90 * time.Millisecond)
	}
}

// A trace of the past has all that happened: its replay ends in the state of the table.
func TestTraceReproducesEveryPick(t *testing.T) {
	h := newHarness(t, 0.5, 0.3, 0.2)
	stir(t, h, 100)
	var text bytes.Buffer
	must(t, h.Trace(t.Context(), &text, TraceLimit{Past: ringEntries}))
	header, lines := readTrace(t, text.Bytes())
	if header.Version != TraceVersion || header.Routing != "adaptive" || len(header.Analyzers) == 0 {
		t.Errorf("header %+v", header)
	}
	seen := make(map[string]int)
	for _, line := range lines {
		seen[line.Kind]++
	}
	for _, kind := range []string{TracePacket, TracePick, TraceFull, TraceRefund, TraceJoin, TraceLeave, TraceWeight, TraceRoom, TraceReset} {
		if seen[kind] == 0 {
			t.Errorf("no %s in the trace: %v", kind, seen)
		}
	}
	same, picks, state := replayTrace(t, header, lines)
	if same != picks || picks < 1000 || picks != seen[TracePick] {
		t.Errorf("%d of %d picks are as recorded", same, picks)
	}
	var want fairshare.State
	h.table.Save(&want)
	if got, want := jsonOf(t, state), jsonOf(t, want); got != want {
		t.Errorf("the replay ends with\n%s, the table has\n%s", got, want)
	}
	for i := range lines {
		if lines[i].Kind == TracePick && i%10 == 0 {
			lines[i].Messages += 50
		}
	}
	if same, picks, _ := replayTrace(t, header, lines); same == picks {
		t.Error("all picks are as recorded in a trace that was changed")
	}
}

func jsonOf(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	return string(text)
}

// A live trace continues with what happens, until its time is over or it has enough picks.
func TestLiveTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 0.5, 0.5)
		h.Start(t.Context())
		defer h.Stop()
		for _, c := range []struct {
			limit      TraceLimit
			live, past int // picks
			after      time.Duration
		}{
			{limit: TraceLimit{For: time.Second}, live: 3, after: time.Second},
			{limit: TraceLimit{For: time.Hour, Picks: 2}, live: 2, after: 2 * traceInterval},
			{limit: TraceLimit{Picks: 2}, live: 2, after: 2 * traceInterval},
		} {
			var text bytes.Buffer
			ended, began := make(chan error, 1), time.Now()
			go func() { ended <- h.Trace(t.Context(), &text, c.limit) }()
			synctest.Wait()
			past := int(h.recorder.next - ringEntries)
			for range 3 {
				h.add(t, 7)
			}
			if err := <-ended; err != nil || time.Since(began) > c.after {
				t.Errorf("%+v: %v after %v", c.limit, err, time.Since(began))
			}
			header, lines := readTrace(t, text.Bytes())
			same, picks, _ := replayTrace(t, header, lines)
			if same != picks || picks < c.live || picks > c.live+past {
				t.Errorf("%+v: %d of %d picks, with %d operations before", c.limit, same, picks, past)
			}
		}
	})
}

// stuckWriter lets the ring be overwritten while a write is under way.
type stuckWriter struct {
	bytes.Buffer
	during func()
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	if during := w.during; during != nil {
		w.during = nil
		during()
	}
	return w.Buffer.Write(p)
}

// A reader that is too slow learns what it lost, and the state to continue with.
func TestTraceWithGap(t *testing.T) {
	h := newHarness(t, 0.5, 0.3, 0.2)
	stir(t, h, 100)
	for _, a := range h.analyzers {
		a.set(func(a *analyzer) { a.capacity, a.transient = unlimited, true })
	}
	route := func(packets int) {
		for range packets / 256 {
			h.addMany(t, 256)
			for h.Round(t.Context(), time.Now()) {
			}
			for _, a := range h.analyzers {
				h.Delivered(a.id, a.take(unlimited))
			}
		}
	}
	w := &stuckWriter{during: func() { route(2 * ringEntries) }}
	// More than a chunk is recorded, so that the trace continues after the writer was stuck.
	route((chunkFrames + 2) * frameEntries)
	must(t, h.Trace(t.Context(), w, TraceLimit{Past: ringEntries}))
	header, lines := readTrace(t, w.Bytes())
	gaps := 0
	for _, line := range lines {
		if line.Kind == TraceGap {
			gaps++
			if line.Lost < ringEntries/2 || line.State == nil {
				t.Errorf("lost %d", line.Lost)
			}
		}
	}
	if same, picks, _ := replayTrace(t, header, lines); gaps != 1 || same != picks || picks < chunkFrames*frameEntries/2 {
		t.Errorf("%d gaps, %d of %d picks are as recorded", gaps, same, picks)
	}
}

func TestTraceHidesEmitters(t *testing.T) {
	h := newHarness(t, 1)
	routeOne(t, h, 1)
	routeOne(t, h, 1)
	emitters := func() (all []string) {
		var text bytes.Buffer
		must(t, h.Trace(t.Context(), &text, TraceLimit{}))
		if strings.Contains(text.String(), `"em":"e"`) {
			t.Error("the emitter's id is in the trace")
		}
		_, lines := readTrace(t, text.Bytes())
		for _, line := range lines {
			if line.Kind == TracePacket {
				all = append(all, line.Emitter)
			}
		}
		return all
	}
	one, two := emitters(), emitters()
	if one[0] != one[1] || one[0] == two[0] || !strings.HasPrefix(one[0], "h:") {
		t.Errorf("the same emitter is %v in one trace and %v in another", one, two)
	}
}

func TestTraceEnds(t *testing.T) {
	if err := New(Dependencies{}).Trace(t.Context(), io.Discard, TraceLimit{}); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("without a recorder: %v", err)
	}
	h := newHarness(t, 1)
	if err := h.Trace(t.Context(), io.Discard, TraceLimit{Past: -1}); err == nil {
		t.Error("a negative limit is accepted")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, h.Trace(ended, io.Discard, TraceLimit{For: time.Hour}))
	reader, writer := io.Pipe()
	must(t, reader.Close())
	if err := h.Trace(t.Context(), writer, TraceLimit{For: time.Hour}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a closed writer: %v", err)
	}
}

func TestTraceReplayRejects(t *testing.T) {
	h := newHarness(t, 1, 1)
	h.Tick(time.Now())
	var text bytes.Buffer
	must(t, h.Trace(t.Context(), &text, TraceLimit{}))
	header, _ := readTrace(t, text.Bytes())
	p, err := NewTraceReplay(header.TraceState)
	must(t, err)
	for want, line := range map[string]TraceEvent{
		`unknown event "pock"`:            {Kind: "pock", Analyzer: "a0"},
		`no analyzer "a9"`:                {Kind: TracePick, Analyzer: "a9", Messages: 1},
		`no analyzer "a9" to avoid`:       {Kind: TracePick, Analyzer: "a0", Messages: 1, Avoid: "a9"},
		"m is 0: it must be from 1":       {Kind: TraceRefund, Analyzer: "a0"},
		"w is -1: it must be above 0":     {Kind: TraceWeight, Analyzer: "a0", Weight: -1},
		"m is 262145: it must be from 1 ": {Kind: TraceFull, Analyzer: "a0", Messages: 1<<18 + 1},
	} {
		if _, err := p.Apply(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that contains %q", line, err, want)
		}
	}
	for want, spoil := range map[string]func(*TraceState){
		`"a1" has the index 1`:      func(s *TraceState) { s.Analyzers[0].Index = 1 },
		`"a1" has the index 7`:      func(s *TraceState) { s.Analyzers[1].Index = 7 },
		`"a0" has the index 1: ids`: func(s *TraceState) { s.Analyzers[1].ID = "a0" },
		"weight 1 at index 1":       func(s *TraceState) { s.Analyzers = s.Analyzers[:1] },
	} {
		var state TraceState
		must(t, json.Unmarshal([]byte(jsonOf(t, header.TraceState)), &state))
		spoil(&state)
		if _, err := NewTraceReplay(state); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that contains %q", err, want)
		}
	}
}
