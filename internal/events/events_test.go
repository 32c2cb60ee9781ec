package events

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The log keeps the latest events, in order.
func TestRing(t *testing.T) {
	log := New(3)
	if log.Last() != 0 || len(log.After(0, 10)) != 0 {
		t.Error("a new log is not empty")
	}
	for i := range 5 {
		log.Add(Event{Kind: string(rune('a' + i))})
	}
	for _, c := range []struct {
		after int64
		limit int
		want  string
	}{{0, 10, "cde"}, {-7, 10, "cde"}, {3, 10, "de"}, {3, 1, "d"}, {5, 10, ""}, {99, 10, "cde"}} {
		got := ""
		for _, e := range log.After(c.after, c.limit) {
			got += e.Kind
			if e.ID != int64(e.Kind[0]-'a'+1) || e.Time.IsZero() {
				t.Errorf("%+v", e)
			}
		}
		if got != c.want {
			t.Errorf("after %d: %q, want %q", c.after, got, c.want)
		}
	}
}

// Events with large values take a bounded number of bytes, and the latest one stays in any case.
func TestBytesAreBounded(t *testing.T) {
	log := New(1000)
	log.maxBytes = 10_000
	for range 100 {
		log.Add(Event{Kind: "k", Old: strings.Repeat("x", 1000)})
	}
	if kept := log.After(0, 1000); len(kept) != 9 || kept[8].ID != 100 || log.bytes > log.maxBytes {
		t.Errorf("%d events with %d bytes are kept, want the latest 9", len(kept), log.bytes)
	}
	log.Add(Event{Kind: "large", New: strings.Repeat("x", 20_000)})
	if kept := log.After(0, 1000); len(kept) != 1 || kept[0].Kind != "large" {
		t.Errorf("%d events are kept, want the latest one", len(kept))
	}
	log.Add(Event{Kind: "small"})
	if kept := log.After(0, 1000); len(kept) != 1 || kept[0].Kind != "small" {
		t.Errorf("%d events are kept, want the latest one", len(kept))
	}
}

// An empty log takes no memory for the events that it may have.
func TestEmptyLogIsSmall(t *testing.T) {
	if allocated := testing.AllocsPerRun(10, func() { New(1 << 40) }); allocated > 2 {
		t.Errorf("%v allocations", allocated)
	}
}

// Wait returns with the next event, or with the end of its context.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := New(3)
		log.Add(Event{})
		if !log.Wait(t.Context(), 0) {
			t.Error("an event that is there is not seen")
		}
		seen := make(chan bool)
		go func() { seen <- log.Wait(t.Context(), 1) }()
		synctest.Wait()
		log.Add(Event{})
		if !<-seen {
			t.Error("the next event is not seen")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if log.Wait(ctx, 2) {
			t.Error("an event is seen that is not there")
		}
	})
}
