package tap

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// While somebody asks, a few packets at a time are sampled, and their emitters are ordered by their
// messages. Samples take no place of an operator's tap.
func TestSenders(t *testing.T) {
	var h Hub
	var s Senders
	now := time.Now()
	s.Sample(&h, now)
	if h.Active() {
		t.Fatal("packets are sampled although nobody asks")
	}
	if top := s.Top(2, now); len(top) != 0 {
		t.Errorf("without samples: %+v", top)
	}
	large, small := source(t, Accepted, "large", "INFO"), source(t, Accepted, "small", "INFO")
	large.Info.Messages = 3
	for range 5 {
		s.Sample(&h, now)
		for range 2 * sampledAtOnce { // of which the first ones are taken
			h.Emit(large)
			h.Emit(small)
			h.Emit(source(t, Routed, "other", "INFO"))
		}
		if h.Active() {
			t.Fatal("a sample goes on after its last packet")
		}
	}
	s.Sample(&h, now)
	for range MaxTaps {
		openTap(t, &h, Options{})
	}
	if top := fmt.Sprint(s.Top(9, now)); top != "[{large 0.75} {small 0.25}]" || fmt.Sprint(s.Top(1, now)) != "[{large 0.75}]" {
		t.Errorf("%v", top)
	}
	if s.recent.Len() != 5*sampledAtOnce {
		t.Errorf("%d packets were sampled", s.recent.Len())
	}
}

// Packets may be committed some samples later: those of a slow journal count as well.
func TestSendersOfASlowJournal(t *testing.T) {
	var h Hub
	var s Senders
	now := time.Now()
	s.Top(1, now)
	var late []*Captured
	for range 2 * keptSamples {
		s.Sample(&h, now)
		c := new(Captured)
		h.Capture(c, 0, source(t, Accepted, "e", "INFO"))
		if late = append(late, c); len(late) > keptSamples-1 {
			late[0].Emit(1)
			late = late[1:]
		}
	}
	s.Sample(&h, now)
	if top := fmt.Sprint(s.Top(1, now)); top != "[{e 1}]" {
		t.Errorf("%v", top)
	}
	if s.samples.Len() != keptSamples || s.recent.Len() != keptSamples+1 {
		t.Errorf("%d samples with %d packets are kept", s.samples.Len(), s.recent.Len())
	}
}

// Samples are forgotten after the window, and end with the questions.
func TestSendersAreThoseOfTheWindow(t *testing.T) {
	var h Hub
	var s Senders
	now := time.Now()
	s.Top(1, now)
	s.Sample(&h, now)
	h.Emit(source(t, Accepted, "e", "INFO"))
	later := now.Add(SenderWindow + time.Second)
	s.Sample(&h, later)
	if h.Active() {
		t.Error("packets are sampled for nobody")
	}
	if top := s.Top(1, later); len(top) != 0 {
		t.Errorf("of the past: %+v", top)
	}
	s.Sample(&h, later)
	h.Close()
	s.Sample(&h, later)
	s.Sample(&h, later)
	if top := s.Top(math.MaxInt, later); len(top) != 0 || h.Active() {
		t.Errorf("of a closed hub: %+v", top)
	}
}
