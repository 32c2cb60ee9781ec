package upstream

import (
	"testing"

	"logstreamer/internal/packet"
)

// The more senders are under way, the more packets must wait for one more to
// start, but never more than a batch carries.
func TestSendersStartAsPacketsGather(t *testing.T) {
	limits := batchLimits{packets: 40}
	for sending, needed := range []int{1, 1, 4, 16, 40, 40} {
		q := newQueue()
		q.sending = sending
		for waiting := 1; waiting <= needed; waiting++ {
			q.waiting.Push(&packet.Packet{Body: []byte("{}")})
			if got := q.mayStartLocked(limits); got != (waiting == needed) {
				t.Errorf("with %d senders and %d packets waiting: %v, want a start at %d", sending, waiting, got, needed)
			}
		}
	}
	q := newQueue()
	q.sending = 1000 // as many as may be
	for range 40 {
		q.waiting.Push(&packet.Packet{Body: []byte("{}")})
	}
	if !q.mayStartLocked(limits) {
		t.Error("a whole batch waits although a sender is free")
	}
}
