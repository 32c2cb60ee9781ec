package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// spaced is an analyzer whose requests begin 10 ms apart and carry up to 64
// packets. Of its first request, which carried one packet, all is over.
func spaced(t *testing.T, change func(*Config)) (b *bench, sent func() []int) {
	t.Helper()
	analyzer := newScripted(always(ok))
	analyzer.health = lines
	config := testConfig()
	config.Concurrency, config.Spacing = 4, 10*time.Millisecond
	change(&config)
	b = start(t, config, analyzer.dial)
	b.batch.packets.Store(64)
	b.Offer(b.packets.some(t, 1))
	synctest.Wait()
	return b, func() (packets []int) {
		synctest.Wait()
		for _, r := range analyzer.got() {
			packets = append(packets, strings.Count(r.body, `"packet_id"`))
		}
		return packets
	}
}

func wantSent(t *testing.T, when string, sent func() []int, want ...int) {
	t.Helper()
	if got := sent(); !slices.Equal(got, want) {
		t.Errorf("%s requests carried %v packets, want %v", when, got, want)
	}
}

func nothingElse(*Config) {}

// What comes soon after a request waits for more, but not long; what comes after
// a quiet time goes at once.
func TestRequestsAreSpaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, sent := spaced(t, nothingElse)
		for range 9 {
			time.Sleep(time.Millisecond)
			b.Offer(b.packets.some(t, 2))
		}
		wantSent(t, "9 ms after the first", sent, 1)
		time.Sleep(time.Millisecond)
		wantSent(t, "10 ms after the first", sent, 1, 18)
		b.Offer(b.packets.some(t, 1))
		time.Sleep(10 * time.Millisecond)
		wantSent(t, "10 ms after the second", sent, 1, 18, 1)
		time.Sleep(10 * time.Millisecond)
		b.Offer(b.packets.some(t, 1))
		wantSent(t, "after a quiet time", sent, 1, 18, 1, 1)
	})
}

func TestWhatDoesNotWaitForMore(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		few    int // packets that wait
		more   func(b *bench) []*packet.Packet
	}{
		{"a whole batch", nothingElse, 63, func(b *bench) []*packet.Packet { return b.packets.some(t, 1) }},
		{"half of what may be bound", func(c *Config) { c.QueuePackets = 20 }, 9, func(b *bench) []*packet.Packet { return b.packets.some(t, 1) }},
		{"an emitter that waits", nothingElse, 5, func(b *bench) []*packet.Packet {
			p := b.packets.packet(t)
			p.DeliveryChan = make(chan packet.DeliveryResult, 1)
			return []*packet.Packet{p}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, sent := spaced(t, test.change)
				b.Offer(b.packets.some(t, test.few))
				wantSent(t, "at once", sent, 1)
				b.Offer(test.more(b))
				wantSent(t, "with one packet more", sent, 1, test.few+1)
				b.Offer(b.packets.some(t, 1)) // the wait is as it was
				wantSent(t, "with another", sent, 1, test.few+1)
			})
		})
	}
}

// Packets that may not share a request have nothing to wait for.
func TestWhatCannotShareIsNotSpaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, sent := spaced(t, nothingElse)
		packets := b.packets.some(t, 3)
		for i, p := range packets {
			p.Traceparent = fmt.Sprintf("00-%032x-%016x-01", i+1, i+1)
		}
		b.Offer(packets)
		wantSent(t, "at first", sent, 1)
		time.Sleep(10 * time.Millisecond)
		wantSent(t, "after the wait for more", sent, 1, 1, 1, 1)
	})
}

// Packets that were taken back keep nobody's urgency.
func TestUrgencyGoesWithItsPacket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue()
		urgent := new(maker).some(t, 1)
		urgent[0].DeliveryChan = make(chan packet.DeliveryResult, 1)
		q.sending = 2 // so that nobody may start with one packet
		q.offer(urgent, batchLimits{packets: 64, enough: 64, spacing: time.Second})
		q.trim(0)
		if q.urgent != 0 {
			t.Errorf("an empty queue has %d urgent packets", q.urgent)
		}
	})
}

// An analyzer that takes one packet a request has nothing to wait for.
func TestSinglePacketsAreNotSpaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(always(ok))
		config := testConfig()
		config.Spacing = time.Second
		b := start(t, config, analyzer.dial)
		for range 3 {
			b.Offer(b.packets.some(t, 2))
			synctest.Wait()
		}
		if got := len(analyzer.got()); got != 6 {
			t.Errorf("%d of 6 packets were sent at once", got)
		}
	})
}

// What waits for more is given back at a stop, not kept.
func TestStopWhileSpaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, sent := spaced(t, nothingElse)
		b.Offer(b.packets.some(t, 3))
		wantSent(t, "before the stop", sent, 1)
		b.Stop()
		if got := b.settler.count("returned"); got != 3 {
			t.Errorf("%d packets were returned, want 3", got)
		}
	})
}
