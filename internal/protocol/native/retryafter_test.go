package native

import (
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// The maximum Retry-After for lack of capacity, or of a disk, is reported once.
func TestMaxRetryAfterIsReported(t *testing.T) {
	f := serve(t, standard())
	one, many := post(aPacket("1", 0)), post(aPacket("1", 0)+"\nx\n"+aPacket("2", 0), linesType)
	for _, c := range []struct {
		name    string
		refuse  func()
		request string
		of      func(capacity, disk time.Duration) time.Duration
	}{
		{"no capacity", func() { f.journal.noCapacityFor = "1" }, one, func(capacity, _ time.Duration) time.Duration { return capacity }},
		{"no capacity for a line", func() {}, many, func(capacity, _ time.Duration) time.Duration { return capacity }},
		{"disk", func() { f.journal.putErr = journal.ErrUnwritable }, one, func(_, disk time.Duration) time.Duration { return disk }},
		{"disk, lines", func() {}, many, func(_, disk time.Duration) time.Duration { return disk }},
	} {
		c.refuse()
		a := f.exchange(c.request)
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		capacity, disk := f.handler.intake.MaxRetryAfters()
		if got := c.of(capacity, disk); err != nil || got != time.Duration(seconds)*time.Second || capacity+disk != got {
			t.Errorf("%s: Retry-After is %d s, and reported are %v and %v", c.name, seconds, capacity, disk)
		}
		if capacity, disk := f.handler.intake.MaxRetryAfters(); capacity+disk > 0 {
			t.Errorf("%s: reported again: %v and %v", c.name, capacity, disk)
		}
	}
}
