package upstream

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// startLingering returns an analyzer with a linger of 10 ms and batches of up to 64 packets,
// after a first request with one packet, and a function that returns the batch sizes.
func startLingering(t *testing.T, change func(*Config)) (b *fixture, sent func() []int) {
	t.Helper()
	analyzer := newFakeSink(t, always(ok))
	analyzer.health = batching
	config := testConfig()
	config.Concurrency = 4
	change(&config)
	b = start(t, config, analyzer)
	b.SetLinger(10 * time.Millisecond)
	b.batch.packets.Store(64)
	b.Offer(b.packets.some(t, 1))
	synctest.Wait()
	return b, func() (packets []int) {
		synctest.Wait()
		for _, r := range analyzer.received() {
			packets = append(packets, len(r.bodies))
		}
		return packets
	}
}

func wantBatches(t *testing.T, when string, sent func() []int, want ...int) {
	t.Helper()
	if got := sent(); !slices.Equal(got, want) {
		t.Errorf("%s requests carried %v packets, want %v", when, got, want)
	}
}

func noChange(*Config) {}

// A packet shortly after a request waits for the end of the linger; one after an idle time is
// sent at once.
func TestLinger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, sent := startLingering(t, noChange)
		for range 9 {
			time.Sleep(time.Millisecond)
			b.Offer(b.packets.some(t, 2))
		}
		wantBatches(t, "9 ms after the first", sent, 1)
		time.Sleep(time.Millisecond)
		wantBatches(t, "10 ms after the first", sent, 1, 18)
		b.Offer(b.packets.some(t, 1))
		time.Sleep(10 * time.Millisecond)
		wantBatches(t, "10 ms after the second", sent, 1, 18, 1)
		time.Sleep(10 * time.Millisecond)
		b.Offer(b.packets.some(t, 1))
		wantBatches(t, "after an idle time", sent, 1, 18, 1, 1)
	})
}

func TestLingerIsSkipped(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		few    int // packets that linger
		more   func(b *fixture) []Delivery
	}{
		{"a full batch", noChange, 63, func(b *fixture) []Delivery { return b.packets.some(t, 1) }},
		{"half of the limit", func(c *Config) { c.QueuePackets = 20 }, 9, func(b *fixture) []Delivery { return b.packets.some(t, 1) }},
		{"an emitter that waits for the delivery", noChange, 5, func(b *fixture) []Delivery {
			p := b.packets.packet(t)
			p.Packet.DeliveryChan = make(chan packet.DeliveryResult, 1)
			return []Delivery{p}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, sent := startLingering(t, test.change)
				b.Offer(b.packets.some(t, test.few))
				wantBatches(t, "at once", sent, 1)
				b.Offer(test.more(b))
				wantBatches(t, "with one packet more", sent, 1, test.few+1)
				b.Offer(b.packets.some(t, 1)) // lingers
				wantBatches(t, "with another", sent, 1, test.few+1)
			})
		})
	}
}

// Packets that may not share a request are sent without further linger.
func TestUnbatchablePacketsDoNotLingerAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, sent := startLingering(t, noChange)
		packets := b.packets.some(t, 3)
		for i, p := range packets {
			p.Packet.Traceparent = fmt.Sprintf("00-%032x-%016x-01", i+1, i+1)
		}
		b.Offer(packets)
		wantBatches(t, "at first", sent, 1)
		time.Sleep(10 * time.Millisecond)
		wantBatches(t, "after the linger", sent, 1, 1, 1, 1)
	})
}

// Trimmed packets do not count in noLinger.
func TestTrimUpdatesNoLinger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue()
		packets := new(packetMaker).some(t, 1)
		packets[0].Packet.DeliveryChan = make(chan packet.DeliveryResult, 1)
		q.sending = 2 // so that one packet is not enough to start
		q.offer(packets, batchLimits{packets: 64, flushSize: 64, linger: time.Second})
		q.trim(0)
		if q.noLinger != 0 {
			t.Errorf("noLinger of an empty queue is %d", q.noLinger)
		}
	})
}

// An analyzer without NDJSON gets packets without linger.
func TestSinglePacketsDoNotLinger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		b := start(t, testConfig(), analyzer)
		b.SetLinger(time.Second)
		for range 3 {
			b.Offer(b.packets.some(t, 2))
			synctest.Wait()
		}
		if got := len(analyzer.received()); got != 6 {
			t.Errorf("%d of 6 packets were sent at once", got)
		}
	})
}

// Packets that linger are returned by Stop.
func TestStopDuringLinger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, sent := startLingering(t, noChange)
		b.Offer(b.packets.some(t, 3))
		wantBatches(t, "before the stop", sent, 1)
		b.Stop()
		if got := b.settler.count("returned"); got != 3 {
			t.Errorf("%d packets were returned, want 3", got)
		}
	})
}
