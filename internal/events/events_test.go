package events

import (
	"context"
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
