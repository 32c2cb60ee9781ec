package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"logstreamer/internal/packet"
)

// The more senders are under way, the more packets must wait for one more to
// start, but never more than a batch carries.
func TestSendersStartAsPacketsGather(t *testing.T) {
	limits := batchLimits{packets: 40, enough: 40}
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

// Of senders that wait, the one that worked last is called: one connection
// carries what one sender can, and stays warm.
func TestSenderThatWorkedLastIsCalledFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := ok
		slow.delay = time.Millisecond
		analyzer := newScripted(always(slow))
		config := testConfig()
		config.Concurrency = 8
		b := start(t, config, analyzer.dial)
		b.Offer(b.packets.some(t, config.Concurrency))
		b.settler.await(t, config.Concurrency)
		synctest.Wait()
		burst := len(analyzer.got())
		for i := range 20 {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, burst+i+1)
			synctest.Wait()
		}
		connections := make(map[int]bool)
		for _, request := range analyzer.got()[burst:] {
			connections[request.connection] = true
		}
		if len(connections) != 1 {
			t.Errorf("20 packets, one after the other, took %d connections", len(connections))
		}
	})
}
