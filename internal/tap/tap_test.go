package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source returns a packet of an emitter at a stage.
func source(t testing.TB, stage Stage, emitter, level string) Source {
	t.Helper()
	body := fmt.Appendf(nil, `{"emitter_id":%q,"packet_id":"p","messages":[{"timestamp":1,"level":%q,"message":"é"}]}`, emitter, level)
	info, err := packet.Check(body, 10)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Stage: stage, Analyzer: "a", Reason: "r", Detail: strings.Repeat("d", 2*maxDetailBytes), Body: body, Info: info}
}

func openTap(t testing.TB, h *Hub, o Options) *Tap {
	t.Helper()
	tap, err := h.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tap.Close)
	return tap
}

// queued returns the events that wait.
func (t *Tap) queued() []Event {
	var events []Event
	for {
		e, ok := t.take()
		if !ok {
			return events
		}
		events = append(events, e)
	}
}

func TestEvent(t *testing.T) {
	var h Hub
	without, with := openTap(t, &h, Options{}), openTap(t, &h, Options{Bodies: true})
	s := source(t, Delivered, "e", "WARN")
	h.Emit(s)
	got := without.queued()[0]
	if time.Since(got.Time).Abs() > time.Hour {
		t.Error(got.Time)
	}
	got.Time = time.Time{}
	want := Event{
		Stage: Delivered, EmitterID: "e", PacketID: "p", Analyzer: "a", Messages: 1, Level: "WARN", Bytes: len(s.Body),
		Reason: "r", Detail: strings.Repeat("d", maxDetailBytes),
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := with.queued()[0]; got.Body != string(s.Body) {
		t.Errorf("body %q", got.Body)
	}
	s.Body = append(s.Body, strings.Repeat("é", MaxBodyBytes)...)
	h.Emit(s)
	if got := with.queued()[0]; len(got.Body) < MaxBodyBytes-1 || len(got.Body) > MaxBodyBytes || strings.ContainsRune(got.Body, 0xfffd) || got.Bytes != len(s.Body) {
		t.Errorf("a body of %d bytes", len(got.Body))
	}
}

func TestFilters(t *testing.T) {
	var h Hub
	for _, c := range []struct {
		options Options
		want    bool
	}{
		{Options{}, true},
		{Options{Stage: Routed}, true},
		{Options{Stage: Accepted}, false},
		{Options{Emitter: "web-1"}, true},
		{Options{Emitter: "web-"}, false},
		{Options{Emitter: "web-*"}, true},
		{Options{Emitter: "*"}, true},
		{Options{Emitter: "db-*"}, false},
		{Options{Emitter: "web-1*"}, true},
		{Options{Analyzer: "a"}, true},
		{Options{Analyzer: "b"}, false},
		{Options{Level: packet.LevelWarn}, true},
		{Options{Level: packet.LevelError}, false},
		{Options{Sample: 1}, true},
		{Options{Sample: math.SmallestNonzeroFloat64}, false},
	} {
		tap := openTap(t, &h, c.options)
		h.Emit(source(t, Routed, "web-1", "WARN"))
		if got := len(tap.queued()) == 1; got != c.want {
			t.Errorf("%+v: shown %v", c.options, got)
		}
		tap.Close()
	}
}

func TestSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		tap := openTap(t, &h, Options{Sample: 0.25})
		shown := 0
		s := source(t, Routed, "e", "INFO")
		for range 4000 {
			time.Sleep(10 * time.Millisecond)
			h.Emit(s)
			shown += len(tap.queued())
		}
		if shown < 700 || shown > 1300 || tap.Dropped() != 0 { // ten standard deviations
			t.Errorf("%d of 4000 are shown, %d dropped", shown, tap.Dropped())
		}
	})
}

func TestOptionErrors(t *testing.T) {
	var h Hub
	for key, o := range map[string]Options{
		"sample": {Sample: math.NaN()}, "emitter": {Emitter: strings.Repeat("x", 2000)}, "stage": {Stage: "x"},
	} {
		var wrong *OptionError
		if _, err := h.Open(o); !errors.As(err, &wrong) || wrong.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	if h.Active() {
		t.Error("a tap is open")
	}
}

// A tap has at most EventsPerSecond; the others are dropped and counted in the stream.
func TestRateIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		tap := openTap(t, &h, Options{})
		s := source(t, Routed, "e", "INFO")
		burst := func() []Event {
			for range 1000 {
				h.Emit(s)
			}
			return tap.queued()
		}
		if got := len(burst()); got != EventsPerSecond {
			t.Errorf("%d at once", got)
		}
		time.Sleep(time.Second / 2)
		got := burst()
		if len(got) != EventsPerSecond/2 || got[0].Dropped != 1000-EventsPerSecond || tap.Dropped() != 2000-3*EventsPerSecond/2 {
			t.Errorf("%d half a second later, the first after %d dropped", len(got), got[0].Dropped)
		}
	})
}

// A reader that does not read holds bounded memory and delays nobody.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		tap, bodies := openTap(t, &h, Options{}), openTap(t, &h, Options{Bodies: true})
		s := source(t, Routed, "e", "INFO")
		s.Body = append(s.Body, strings.Repeat(" ", MaxBodyBytes)...)
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			h.Emit(s)
		}
		if got := len(tap.queued()); got != maxQueued || tap.Dropped() != 1000-maxQueued {
			t.Errorf("%d wait, %d dropped", got, tap.Dropped())
		}
		if got := len(bodies.queued()); got != maxQueuedBytes/MaxBodyBytes || bodies.bytes != 0 {
			t.Errorf("%d bodies wait, and then %d bytes", got, bodies.bytes)
		}
	})
}

func TestNumberOfTaps(t *testing.T) {
	var h Hub
	var taps []*Tap
	for range MaxTaps {
		taps = append(taps, openTap(t, &h, Options{}))
	}
	if _, err := h.Open(Options{}); !errors.Is(err, ErrTooManyTaps) {
		t.Error(err)
	}
	taps[1].Close()
	taps[1].Close()
	openTap(t, &h, Options{})
	h.Close()
	if _, err := h.Open(Options{}); !errors.Is(err, ErrClosed) || h.Active() {
		t.Errorf("after Close: %v, active: %v", err, h.Active())
	}
	if _, err := taps[0].Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		tap := openTap(t, &h, Options{})
		s := source(t, Routed, "e", "INFO")
		var reader sync.WaitGroup
		read := 0
		var end error
		reader.Go(func() {
			for end == nil {
				if _, end = tap.Next(t.Context()); end == nil {
					read++
				}
			}
		})
		h.Emit(s)
		synctest.Wait()
		h.Emit(s)
		h.Emit(s)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		reader.Wait()
		if read != 3 || !errors.Is(end, io.EOF) || time.Since(began) != MaxDuration || h.Active() {
			t.Errorf("%d read, ended after %v with %v", read, time.Since(began), end)
		}
		other := openTap(t, &h, Options{})
		if _, err := other.Next(ended); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// Captured packets are shown only as far as the journal took them.
func TestCaptured(t *testing.T) {
	var h Hub
	tap := openTap(t, &h, Options{})
	var c Captured
	for i := range 5 {
		s := source(t, Accepted, fmt.Sprint(i), "INFO")
		h.Capture(&c, i, s)
		clear(s.Body) // its owner has released it
	}
	if got := tap.queued(); len(got) != 0 {
		t.Errorf("%d are shown too early", len(got))
	}
	c.Emit(2)
	if got := tap.queued(); len(got) != 2 || got[1].EmitterID != "1" {
		t.Errorf("%+v", got)
	}
}

// While no tap is open a batch costs one load.
func BenchmarkNoTap(b *testing.B) {
	var h Hub
	for b.Loop() {
		if h.Active() {
			b.Fatal("a tap is open")
		}
	}
}

// What a packet costs while a tap is open and its rate is used up.
func BenchmarkOpenTap(b *testing.B) {
	var h Hub
	openTap(b, &h, Options{Emitter: "e*"})
	s := source(b, Routed, "e", "INFO")
	b.ReportAllocs()
	for b.Loop() {
		h.Emit(s)
	}
}
