package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// The more senders hold packets, the more packets must wait for one more to start, at most
// a full batch.
func TestSendersStartByWaitingPackets(t *testing.T) {
	limits := batchLimits{packets: 40, flushSize: 40}
	for sending, needed := range []int{1, 1, 4, 16, 40, 40} {
		q := newQueue()
		q.sending, q.flushDeadline = sending, time.Now().Add(time.Hour)
		for waiting := 1; waiting <= needed; waiting++ {
			q.waiting.Push(Delivery{Packet: &packet.Packet{Body: []byte("{}")}})
			if got := q.mayStartLocked(limits); got != (waiting == needed) {
				t.Errorf("with %d senders and %d packets waiting: %v, want a start at %d packets", sending, waiting, got, needed)
			}
		}
	}
	q := newQueue()
	q.sending, q.flushDeadline = 1000, time.Now().Add(time.Hour) // the maximum
	for range 40 {
		q.waiting.Push(Delivery{Packet: &packet.Packet{Body: []byte("{}")}})
	}
	if !q.mayStartLocked(limits) {
		t.Error("a full batch waits although a sender is idle")
	}
}

// The earliest start of one more sender.
func TestNextFlush(t *testing.T) {
	flush, linger := time.Now().Add(2*time.Hour), time.Now().Add(time.Hour)
	for _, test := range []struct {
		name                       string
		waiting, noLinger, sending int
		want                       time.Time
	}{
		{"the first sender lingers", 1, 0, 0, linger},
		{"the second one too", 63, 0, 1, linger},
		{"a full batch does not", 64, 0, 1, time.Time{}},
		{"an emitter waits", 1, 1, 0, time.Time{}},
		{"too few for the third sender", 3, 0, 2, flush},
		{"too few for it, and an emitter waits", 3, 1, 2, time.Time{}},
		{"enough for it", 4, 0, 2, linger},
		{"half of the limit, too few for the fifth", 32, 0, 4, flush},
		{"a full batch for any sender", 64, 0, 7, time.Time{}},
	} {
		q := newQueue()
		q.flushDeadline, q.earliestSend, q.sending, q.noLinger = flush, linger, test.sending, test.noLinger
		for range test.waiting {
			q.waiting.Push(Delivery{Packet: &packet.Packet{Body: []byte("{}")}})
		}
		if got := q.nextFlushLocked(batchLimits{packets: 64, flushSize: 64}); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// During slow requests idle senders start within 20 ms, and at once for a packet whose
// emitter waits for the delivery.
func TestIdleSendersStart(t *testing.T) {
	for _, test := range []struct {
		name     string
		pause    time.Duration // since the start of a request
		noLinger bool
		want     time.Duration
	}{
		{"soon after a request", 5 * time.Millisecond, false, flushTimeout - 5*time.Millisecond},
		{"after an idle time", flushTimeout, false, 0},
		{"an emitter that waits for the delivery", 5 * time.Millisecond, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := startWithTwoSlowRequests(t)
				time.Sleep(test.pause)
				p := b.packets.packet(t)
				if test.noLinger {
					p.Packet.DeliveryChan = make(chan packet.DeliveryResult, 1)
				}
				began := time.Now()
				b.Offer([]Delivery{p})
				synctest.Wait()
				if test.want > 0 {
					time.Sleep(test.want - time.Nanosecond)
					synctest.Wait()
					if b.settler.count("delivered") > 0 {
						t.Fatal("it was delivered too early")
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

// A batch that is large enough does not wait for the flush deadline of a smaller one.
func TestLargerBatchStartsEarlier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := startWithTwoSlowRequests(t)
		b.Offer(b.packets.some(t, 3))
		synctest.Wait()
		b.Offer(b.packets.some(t, 1))
		time.Sleep(shortLinger)
		synctest.Wait()
		if got := b.settler.count("delivered"); got != 4 {
			t.Errorf("%d of four packets are delivered after the linger", got)
		}
	})
}

// shortLinger is that of startWithTwoSlowRequests.
const shortLinger = 2 * time.Millisecond

// startWithTwoSlowRequests returns an analyzer with two slow requests in flight; the second
// one just began.
func startWithTwoSlowRequests(t *testing.T) *fixture {
	t.Helper()
	analyzer := newFakeSink(t, func(r request) reply {
		if r.contains("slow") {
			return hanging
		}
		return ok
	})
	analyzer.health = batching
	config := testConfig()
	config.Concurrency, config.Timeout = 8, 30*time.Second
	b := start(t, config, analyzer)
	b.SetLinger(shortLinger)
	b.batch.packets.Store(64)
	for range 2 {
		time.Sleep(shortLinger)
		b.Offer([]Delivery{b.packets.of(t, `{"emitter_id":"slow","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)})
		synctest.Wait()
	}
	return b
}

// Of idle senders, the one that worked last is woken: one connection carries what one sender
// can, and stays warm.
func TestSendersAreWokenLIFO(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(after(time.Millisecond, ok)))
		config := testConfig()
		config.Concurrency = 8
		b := start(t, config, analyzer)
		b.Offer(b.packets.some(t, config.Concurrency))
		b.settler.await(t, config.Concurrency)
		synctest.Wait()
		burst := len(analyzer.received())
		for i := range 20 {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, burst+i+1)
			synctest.Wait()
		}
		connections := make(map[int]bool)
		for _, request := range analyzer.received()[burst:] {
			connections[request.conn] = true
		}
		if len(connections) != 1 {
			t.Errorf("20 packets, one after the other, took %d connections", len(connections))
		}
	})
}
