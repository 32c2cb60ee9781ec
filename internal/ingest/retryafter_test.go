package ingest

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// What emitters were told for lack of room, or of a disk, is told once.
func TestWaitsGiven(t *testing.T) {
	f := serve(t, standard())
	one, many := post(aPacket("1", 0)), post(aPacket("1", 0)+"\nx\n"+aPacket("2", 0), linesType)
	for _, c := range []struct {
		name    string
		refuse  func()
		request string
		of      func(room, disk time.Duration) time.Duration
	}{
		{"no room", func() { f.journal.noRoomFor = "1" }, one, func(room, _ time.Duration) time.Duration { return room }},
		{"no room for a line", func() {}, many, func(room, _ time.Duration) time.Duration { return room }},
		{"disk", func() { f.journal.putErr = journal.ErrUnwritable }, one, func(_, disk time.Duration) time.Duration { return disk }},
		{"disk, lines", func() {}, many, func(_, disk time.Duration) time.Duration { return disk }},
	} {
		c.refuse()
		a := f.exchange(c.request)
		told, err := strconv.Atoi(a.Header.Get("Retry-After"))
		room, disk := f.handler.WaitsGiven()
		if got := c.of(room, disk); err != nil || got != time.Duration(told)*time.Second || room+disk != got {
			t.Errorf("%s: %d s were told, and it is said that %v and %v were", c.name, told, room, disk)
		}
		if room, disk := f.handler.WaitsGiven(); room+disk > 0 {
			t.Errorf("%s: told again: %v and %v", c.name, room, disk)
		}
	}
}

func TestOtherWaitsAreNotForRoom(t *testing.T) {
	h := newHandler(t, standard(), &greedyJournal{})
	for _, code := range []problem.Code{problem.NoAnalyzer, problem.Draining, problem.RateLimited} {
		h.retryAfter(code)
	}
	if room, disk := h.WaitsGiven(); room+disk > 0 {
		t.Errorf("%v and %v", room, disk)
	}
	h.retryAfter(problem.Shed)
	if room, _ := h.WaitsGiven(); room == 0 {
		t.Error("what is shed is not refused for lack of room")
	}
}

func TestLongestWaitCounts(t *testing.T) {
	var l longest
	for _, seconds := range []int{3, 7, 5} {
		l.raise(seconds)
	}
	if got := l.take(); got != 7*time.Second || l.take() != 0 {
		t.Errorf("the longest is %v", got)
	}
	var raising sync.WaitGroup
	for n := range 4 {
		raising.Go(func() {
			for seconds := range 1000 {
				l.raise(seconds + n)
			}
		})
	}
	raising.Wait()
	if got := l.take(); got != 1002*time.Second {
		t.Errorf("of those raised at once the longest is %v", got)
	}
}
