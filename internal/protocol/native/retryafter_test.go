package native

import (
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
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
		room, disk := f.handler.intake.WaitsGiven()
		if got := c.of(room, disk); err != nil || got != time.Duration(told)*time.Second || room+disk != got {
			t.Errorf("%s: %d s were told, and it is said that %v and %v were", c.name, told, room, disk)
		}
		if room, disk := f.handler.intake.WaitsGiven(); room+disk > 0 {
			t.Errorf("%s: told again: %v and %v", c.name, room, disk)
		}
	}
}
