package history

import (
	"context"
	"encoding/json"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snapshot returns one with a number and analyzers.
func snapshot(n int, analyzers ...string) Snapshot {
	s := Snapshot{Time: time.UnixMilli(int64(n)), Group: Group{
		Numbers: []Number{{"n", float64(n)}, {"nan", math.NaN()}},
		Texts:   []Text{{"state", "\"normal\"\n"}},
	}}
	for _, id := range analyzers {
		s.Analyzers = append(s.Analyzers, Analyzer{id, Group{Numbers: []Number{{"share", float64(n) / 4}}}})
	}
	return s
}

// page is what Columns returns.
type page struct {
	Boot      string
	Seq       int64
	Times     []int64
	Columns   map[string][]*float64
	Analyzers map[string]map[string][]*float64
}

func columnsOf(t *testing.T, h *History) (p page) {
	t.Helper()
	if err := json.Unmarshal(h.Columns(), &p); err != nil {
		t.Fatalf("%v: %s", err, h.Columns())
	}
	return p
}

func TestColumns(t *testing.T) {
	h := New(nil)
	if p := columnsOf(t, h); p.Seq != 0 || len(p.Times) != 0 || p.Boot == "" || p.Boot == New(nil).boot {
		t.Errorf("empty: %+v", p)
	}
	h.add(snapshot(1, "a"))
	h.add(snapshot(2, "b"))
	h.add(snapshot(3, "a"))
	p := columnsOf(t, h)
	if p.Seq != 3 || fmt.Sprint(p.Times) != "[1 2 3]" || *p.Columns["n"][2] != 3 || p.Columns["nan"][0] != nil {
		t.Errorf("%+v", p)
	}
	a, b := p.Analyzers["a"]["share"], p.Analyzers["b"]["share"]
	if *a[0] != 0.25 || a[1] != nil || *a[2] != 0.75 || b[0] != nil || *b[1] != 0.5 || b[2] != nil {
		t.Errorf("%v %v", a, b)
	}
	if first, second := h.Columns(), h.Columns(); &first[0] != &second[0] {
		t.Error("the page is encoded for each viewer")
	}
}

// The last Length snapshots are kept; an analyzer that left goes with the last of its values.
func TestColumnsAreARing(t *testing.T) {
	h := New(nil)
	h.add(snapshot(1, "gone"))
	for n := 2; n <= Length; n++ {
		h.add(snapshot(n, "a"))
	}
	if p := columnsOf(t, h); len(p.Times) != Length || len(p.Analyzers) != 2 || *p.Analyzers["gone"]["share"][0] != 0.25 {
		t.Errorf("%d times, %d analyzers", len(p.Times), len(p.Analyzers))
	}
	h.add(snapshot(Length+1, "a"))
	p := columnsOf(t, h)
	if len(p.Times) != Length || p.Times[0] != 2 || *p.Columns["n"][0] != 2 || *p.Columns["n"][Length-1] != Length+1 || len(p.Analyzers) != 1 {
		t.Errorf("from %d to %v, %d analyzers", p.Times[0], *p.Columns["n"][Length-1], len(p.Analyzers))
	}
}

func TestColumnsAreBounded(t *testing.T) {
	h := New(nil)
	for n := range 10 {
		var ids []string
		for i := range 2 * MaxAnalyzers {
			ids = append(ids, fmt.Sprint(n, "-", i))
		}
		s := snapshot(n, ids...)
		for i := range 30 {
			s.Numbers = append(s.Numbers, Number{fmt.Sprint(n, "-", i), 1})
		}
		h.add(s)
	}
	p := columnsOf(t, h)
	if len(p.Analyzers) != MaxAnalyzers || len(p.Columns) != maxColumns || p.Analyzers["9-0"] == nil {
		t.Errorf("%d analyzers, %d columns", len(p.Analyzers), len(p.Columns))
	}
	big := snapshot(1)
	big.Texts[0].Value = strings.Repeat("x", 1<<18)
	for range 20 {
		h.add(big)
	}
	if h.bytes > maxEncodedBytes || h.encoded.Len() != 3 {
		t.Errorf("%d snapshots of %d bytes can be sent again", h.encoded.Len(), h.bytes)
	}
}

func TestEncodedSnapshot(t *testing.T) {
	got := string(snapshot(1000, "a").encode("b1", 7))
	want := `{"boot":"b1","seq":7,"time":1000,"values":{"n":1000,"nan":null},"texts":{"state":"\"normal\"\n"},"analyzers":{"a":{"share":250}},"analyzer_texts":{"a":{}}}`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// However many viewers there are, each snapshot is encoded once: all get the same bytes, and to send
// one allocates nothing.
func TestSnapshotsAreEncodedOnce(t *testing.T) {
	h := New(nil)
	var viewers []*Subscription
	for range MaxViewers {
		viewers = append(viewers, subscribe(t, h, ""))
	}
	for n := range 3 {
		h.add(snapshot(n, "a"))
		var first *byte
		for i, viewer := range viewers {
			e, err := viewer.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = &e.Data[0]
			} else if &e.Data[0] != first {
				t.Fatalf("snapshot %d is encoded again for viewer %d", n, i)
			}
		}
	}
	e := Event{Data: []byte("{}")}
	if allocated := testing.AllocsPerRun(maxUnread-1, func() { h.sendLocked(viewers[0], e) }); allocated > 0 {
		t.Errorf("a viewer costs %v allocations a snapshot", allocated)
	}
}

func subscribe(t *testing.T, h *History, lastID string) *Subscription {
	t.Helper()
	s, err := h.Subscribe(lastID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// received returns the sequences of the events that can be read now; 0 is a reset.
func received(t *testing.T, s *Subscription) (seqs []int64, last string) {
	t.Helper()
	seqs = []int64{}
	for {
		ctx, cancel := context.WithCancel(t.Context())
		if len(s.missed) == 0 && len(s.live) == 0 {
			cancel()
		}
		e, err := s.Next(ctx)
		cancel()
		if err != nil {
			return seqs, last
		}
		last = e.ID()
		if e.IsReset() {
			seqs = append(seqs, 0)
			continue
		}
		var read struct{ Seq int64 }
		if err := json.Unmarshal(e.Data, &read); err != nil || fmt.Sprint(h(s).boot, "-", read.Seq) != last {
			t.Fatalf("%s: %v", e.Data, err)
		}
		seqs = append(seqs, read.Seq)
	}
}

func h(s *Subscription) *History { return s.history }

func TestStreamGoesOnWhereItEnded(t *testing.T) {
	h := New(nil)
	for n := range 5 {
		h.add(snapshot(n))
	}
	s := subscribe(t, h, "")
	h.add(snapshot(6))
	h.add(snapshot(7))
	seqs, last := received(t, s)
	if fmt.Sprint(seqs) != "[5 6 7]" || last != h.boot+"-7" {
		t.Errorf("%v %s", seqs, last)
	}
	for id, want := range map[string]string{
		last: "[]", h.boot + "-5": "[6 7]", h.boot + "-0": "[1 2 3 4 5 6 7]",
		h.boot + "-8": "[0]", "0123456789abcdef-7": "[0]", h.boot: "[0]", h.boot + "--1": "[0]", "x": "[0]",
	} {
		seqs, after := received(t, subscribe(t, h, id))
		if fmt.Sprint(seqs) != want {
			t.Errorf("since %s: %v, want %s", id, seqs, want)
		}
		if want == "[0]" && after != last {
			t.Errorf("the reset has the id %s", after)
		}
	}
	for n := range maxEncoded {
		h.add(snapshot(n))
	}
	if seqs, _ := received(t, subscribe(t, h, h.boot+"-6")); fmt.Sprint(seqs) != "[0]" {
		t.Errorf("of what is no longer kept: %v", seqs)
	}
	if seqs, _ := received(t, subscribe(t, h, h.boot+"-7")); len(seqs) != maxEncoded {
		t.Errorf("of what is just kept: %d", len(seqs))
	}
}

func TestSlowViewerIsDropped(t *testing.T) {
	h := New(nil)
	slow, other := subscribe(t, h, ""), subscribe(t, h, "")
	for n := range maxUnread + 1 {
		h.add(snapshot(n))
		if seqs, _ := received(t, other); len(seqs) != 1 {
			t.Errorf("the other got %v", seqs)
		}
	}
	if _, err := slow.Next(t.Context()); !errors.Is(err, ErrSlow) {
		t.Errorf("%v", err)
	}
	slow.Close()
	for len(h.viewers) < MaxViewers {
		subscribe(t, h, "")
	}
	if _, err := h.Subscribe(""); !errors.Is(err, ErrTooManyViewers) {
		t.Error(err)
	}
	other.Close()
	other.Close()
	if _, err := other.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	subscribe(t, h, "")
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := 0
		h := New(func(now time.Time) Snapshot {
			samples++
			return Snapshot{Time: now}
		})
		s := subscribe(t, h, "")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		time.Sleep(3*Interval + Interval/2)
		cancel()
		running.Wait()
		if samples != 3 {
			t.Errorf("%d snapshots", samples)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if _, err := h.Subscribe(""); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

// A page of a quarter of an hour with MaxAnalyzers.
func BenchmarkColumns(b *testing.B) {
	h := New(nil)
	for n := range Length {
		s := Snapshot{}
		for i := range 30 {
			s.Numbers = append(s.Numbers, Number{fmt.Sprint(i), float64(n) / 3})
		}
		for i := range MaxAnalyzers {
			s.Analyzers = append(s.Analyzers, Analyzer{fmt.Sprint(i), s.Group})
			s.Analyzers[i].Numbers = s.Numbers[:7]
		}
		h.add(s)
	}
	for b.Loop() {
		h.page = nil
		b.SetBytes(int64(len(h.Columns())))
	}
}
