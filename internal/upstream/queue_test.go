package upstream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// The more senders are under way, the more packets must wait for one more to
// start, but never more than a batch carries.
func TestSendersStartAsPacketsGather(t *testing.T) {
	limits := batchLimits{packets: 40, enough: 40}
	for sending, needed := range []int{1, 1, 4, 16, 40, 40} {
		q := newQueue()
		q.sending, q.late = sending, time.Now().Add(time.Hour)
		for waiting := 1; waiting <= needed; waiting++ {
			q.waiting.Push(&packet.Packet{Body: []byte("{}")})
			if got := q.mayStartLocked(limits); got != (waiting == needed) {
				t.Errorf("with %d senders and %d packets waiting: %v, want a start at %d", sending, waiting, got, needed)
			}
		}
	}
	q := newQueue()
	q.sending, q.late = 1000, time.Now().Add(time.Hour) // as many as may be
	for range 40 {
		q.waiting.Push(&packet.Packet{Body: []byte("{}")})
	}
	if !q.mayStartLocked(limits) {
		t.Error("a whole batch waits although a sender is free")
	}
}

// While requests take long, packets do not wait for the end of them: idle senders take
// them within 20 ms, and at once those whose emitters wait for their delivery.
func TestIdleSendersStart(t *testing.T) {
	for _, test := range []struct {
		name   string
		pause  time.Duration // since a request began
		urgent bool
		want   time.Duration
	}{
		{"soon after a request", 5 * time.Millisecond, false, longestGathering - 5*time.Millisecond},
		{"after a quiet time", longestGathering, false, 0},
		{"an emitter that waits", 5 * time.Millisecond, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := behindTwoSlow(t)
				time.Sleep(test.pause)
				p := b.packets.packet(t)
				if test.urgent {
					p.DeliveryChan = make(chan packet.DeliveryResult, 1)
				}
				began := time.Now()
				b.Offer([]*packet.Packet{p})
				synctest.Wait()
				if test.want > 0 {
					time.Sleep(test.want - time.Nanosecond)
					synctest.Wait()
					if b.settler.count("delivered") > 0 {
						t.Fatal("it was delivered too soon")
					}
					time.Sleep(time.Nanosecond)
					synctest.Wait()
				}
				if b.settler.count("delivered") != 1 {
					t.Errorf("it is not delivered after %v", time.Since(began))
				}
			})
		})
	}
}

// Enough packets wait no longer because fewer had been waiting before.
func TestEnoughPacketsDoNotWaitForTheFew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := behindTwoSlow(t)
		b.Offer(b.packets.some(t, 3))
		synctest.Wait()
		b.Offer(b.packets.some(t, 1))
		time.Sleep(b.config.Spacing)
		synctest.Wait()
		if got := b.settler.count("delivered"); got != 4 {
			t.Errorf("%d of four packets are delivered when the spacing is over", got)
		}
	})
}

// behindTwoSlow is an analyzer of which two requests take long; the second began just
// now.
func behindTwoSlow(t *testing.T) *bench {
	t.Helper()
	analyzer := newScripted(func(r seen) reply {
		if strings.Contains(r.body, "slow") {
			return reply{hang: true}
		}
		return ok
	})
	analyzer.health = lines
	config := testConfig()
	config.Concurrency, config.Timeout, config.Spacing = 8, 30*time.Second, 2*time.Millisecond
	b := start(t, config, analyzer.dial)
	b.batch.packets.Store(64)
	for range 2 {
		time.Sleep(config.Spacing)
		b.Offer([]*packet.Packet{b.packets.of(t, `{"emitter_id":"slow","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)})
		synctest.Wait()
	}
	return b
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
