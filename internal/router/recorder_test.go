package router

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// checkRecord fails unless, for the last frames up to a number, replaying its operations from its state gives
// the picks that were recorded, and the state of the next frame or of the table bit for
// bit.
func checkRecord(t rapid.TB, h *harness, frames uint64) {
	t.Helper()
	rec := h.recorder
	for first := max(rec.oldest(), rec.current.first-(frames-1)*frameEntries); ; first += frameEntries {
		f := rec.frameAt(first)
		p, err := newReplay(f.table, f.members)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range f.recorded() {
			if err := p.apply(e.decode(f.start)); err != nil {
				t.Fatalf("frame %d: %v", f.first, err)
			}
		}
		next, members := fairshare.State{}, rec.members
		if f == rec.current {
			h.table.Save(&next)
		} else if following := rec.frameAt(first + frameEntries); following.changed {
			continue
		} else {
			next, members = following.table, following.members
		}
		var got fairshare.State
		p.table.Save(&got)
		if fmt.Sprint(got) != fmt.Sprint(next) {
			t.Fatalf("after frame %d the table is %v, and its replay %v", f.first, next, got)
		}
		for i, m := range members {
			if got := p.members[i]; got.id != m.id || got.weight != m.weight || got.outage != m.outage || got.capacity != min(m.capacity, max(got.capacity, maxCapacity-1)) {
				t.Fatalf("after frame %d member %d is %+v, and in the replay %+v", f.first, i, m, got)
			}
		}
		if f == rec.current {
			return
		}
	}
}

// Random histories, with analyzers that come and go, are recorded exactly.
func TestRandomHistoriesAreReplayed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := newHarness(t, rapid.SliceOfN(rapid.Float64Range(0.05, 1), 1, 4).Draw(r, "weights")...)
		now := time.Now()
		some := func() *analyzer { return h.analyzers[rapid.IntRange(0, len(h.analyzers)-1).Draw(r, "analyzer")] }
		r.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) { h.addMany(t, rapid.IntRange(1, 300).Draw(r, "packets")) },
			"round":  func(*rapid.T) { h.Round(t.Context(), now) },
			"tick": func(*rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(r, "ms")) * time.Millisecond)
				h.Tick(now)
			},
			"an hour": func(*rapid.T) { now = now.Add(maxFrame + time.Second); h.Tick(now) },
			"capacity": func(*rapid.T) {
				a := some()
				a.capacity = rapid.SampledFrom([]int{0, 0, 1, 5, 1000, 100_000}).Draw(r, "capacity")
				a.transient, a.belowLowWatermark = rapid.Bool().Draw(r, "transient"), rapid.Bool().Draw(r, "below low watermark")
				a.ramp = rapid.Float64Range(0.05, 1).Draw(r, "ramp")
				a.outage = rapid.SampledFrom([]upstream.Outage{upstream.BreakerOpen, upstream.AskedPause}).Draw(r, "outage")
			},
			"delivered": func(*rapid.T) {
				a := some()
				h.Delivered(a.id, a.take(rapid.IntRange(1, 200).Draw(r, "packets")))
			},
			"nacked": func(*rapid.T) {
				a := some()
				back := a.take(rapid.IntRange(1, 50).Draw(r, "packets"))
				for i := range back {
					back[i].Attempted = rapid.Bool().Draw(r, "attempted")
				}
				h.Nacked(a.id, back)
			},
			"weight": func(*rapid.T) { must(t, h.SetWeight(some().id, rapid.Float64Range(0.05, 1).Draw(r, "weight"))) },
			"drain":  func(*rapid.T) { must(t, h.SetOut(some().id, rapid.Bool().Draw(r, "drained"))) },
			"add": func(*rapid.T) {
				if len(h.analyzers) < 6 {
					h.addAnalyzer(t, 0.5)
				}
			},
			"remove": func(*rapid.T) {
				if len(h.analyzers) > 1 {
					h.removeAnalyzer(t, some())
				}
			},
			"": func(r *rapid.T) { checkRecord(r, h, 4) },
		})
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The ring forgets the oldest frames, and the rest is still exact.
func TestRingWrapsAround(t *testing.T) {
	h := newHarness(t, 0.5, 0.3, 0.2)
	now := time.Now()
	h.Tick(now)
	for range 2*ringFrames + 3 {
		h.addMany(t, 300)
		for h.Round(t.Context(), now) {
		}
		for _, a := range h.analyzers {
			h.Delivered(a.id, a.take(unlimited))
			a.capacity = unlimited
		}
	}
	if recorded := h.recorder.next - h.recorder.oldest(); recorded < ringEntries-frameEntries || recorded > ringEntries {
		t.Errorf("%d operations are recorded, want %d to %d", recorded, ringEntries-frameEntries, ringEntries)
	}
	checkRecord(t, h, ringFrames)
}

func TestEntriesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1<<50).Draw(t, "start")
		e := event{op: operation(rapid.IntRange(0, int(opCapacity)).Draw(t, "op")), at: start + rapid.Int64Range(0, maxAt).Draw(t, "at"),
			member: rapid.IntRange(0, fairshare.MaxMembers-1).Draw(t, "member"), avoid: -1}
		switch e.op {
		case opPick, opFull:
			e.messages = rapid.IntRange(1, fairshare.MaxMessages).Draw(t, "messages")
			e.avoid = rapid.IntRange(-1, fairshare.MaxMembers-1).Draw(t, "avoid")
			e.capacity, e.cause = rapid.IntRange(0, maxCapacity).Draw(t, "capacity"), cause(rapid.IntRange(0, 2).Draw(t, "cause"))
			e.waited = rapid.OneOf(rapid.Just(time.Duration(0)), rapid.Just((longWait-1)*time.Microsecond), rapid.Just(longWait*time.Microsecond/1e9*1e9)).Draw(t, "waited")
			if e.waited >= longWait*time.Microsecond {
				e.waited = e.waited.Truncate(time.Second)
			}
		case opRefund:
			e.messages = rapid.IntRange(1, fairshare.MaxMessages).Draw(t, "messages")
		case opOut:
			e.outage, e.until = upstream.Maint, rapid.Int64Range(0, 1<<60).Draw(t, "until")
		case opWeight:
			e.weight, e.ramp = rapid.Float64Range(1e-300, fairshare.MaxWeight).Draw(t, "weight"), float64(rapid.IntRange(0, rampOne).Draw(t, "ramp"))/rampOne
		case opCapacity:
			e.capacity = rapid.IntRange(0, 1<<30).Draw(t, "capacity")
		}
		if got := e.encode(start).decode(start); !reflect.DeepEqual(got, e) {
			t.Errorf("%+v became %+v", e, got)
		}
	})
}

func TestLongWaitsAreInSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		-time.Second: 0, 1234 * time.Nanosecond: time.Microsecond, 50*time.Hour + time.Millisecond: 50 * time.Hour, 1 << 62: (1 << 62 / time.Second) * time.Second,
	} {
		if got := decodeWait(encodeWait(wait)); got != min(want, (longWait-1)*time.Second) {
			t.Errorf("%v became %v, want %v", wait, got, want)
		}
	}
}

// Recording allocates only frames that were never used.
func TestRecordingDoesNotAllocate(t *testing.T) {
	r := newRoundRouter(t, 3, 64, true)
	now := time.Now()
	journal := r.journal.(*loopJournal)
	record := func() {
		for _, p := range journal.waiting {
			i, _ := r.table.Pick(p.Messages, -1)
			r.recorder.pick(&upstream.Delivery{Packet: p}, causeFirst, i, -1, 1, 0)
			r.table.Refund(i, p.Messages)
			r.recordRefund(r.byIndex[i], &upstream.Delivery{Packet: p}, now)
		}
	}
	for range ringEntries / (2 * len(journal.waiting)) {
		record()
	}
	if allocations := testing.AllocsPerRun(200, record); allocations != 0 {
		t.Errorf("%v allocations for 64 picks", allocations)
	}
}

// A pick that finds an analyzer full again and again is recorded once.
func TestFullIsRecordedOnce(t *testing.T) {
	h := newHarness(t, 1)
	h.analyzers[0].set(func(a *analyzer) { a.capacity = 0 })
	h.add(t, 5)
	now := time.Now()
	for range 100 {
		h.Round(t.Context(), now)
	}
	full := 0
	for _, e := range h.recorder.current.recorded() {
		if e.op() == opFull {
			full++
		}
	}
	if full != 1 {
		t.Errorf("recorded %d times", full)
	}
}

// A router that routed little keeps little: frames are allocated when they are first used, each once.
func TestFramesAreAllocatedWhenUsed(t *testing.T) {
	h := newHarness(t, 0.5, 0.5)
	now := time.Now()
	h.Tick(now)
	used := func() (n int) {
		for _, f := range h.recorder.frames {
			if f != nil {
				n++
			}
		}
		return n
	}
	if n := used(); n > 3 {
		t.Errorf("%d frames are allocated before the first packet", n)
	}
	h.addMany(t, 2*frameEntries)
	for h.Round(t.Context(), now) {
	}
	if n := used(); n < 3 || n > 6 {
		t.Errorf("%d frames are allocated after %d picks", n, 2*frameEntries)
	}
}
