package upstream

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newTestEpoch returns an epoch that starts no probes.
func newTestEpoch() *capabilityEpoch {
	i := new(capabilityEpoch)
	i.init(func() {})
	return i
}

// batchSizes formats the number of packets of each request.
func batchSizes(requests []receivedRequest) string {
	var sizes []int
	for _, r := range requests {
		sizes = append(sizes, strings.Count(r.body, "packet_id"))
	}
	return fmt.Sprint(sizes)
}

// after returns the reply with a delay.
func after(delay time.Duration, r reply) reply {
	r.delay = delay
	return r
}

var (
	cutting = reply{parts: ok.parts, cut: true}
	closing = status(200, "Connection: close\r\n", "")
)

const singlePackets = "[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1]"

// After a sign that the analyzer was replaced it gets single packets until a probe, which
// is sent at once, has learned that it accepts NDJSON.
func TestReplacedAnalyzerIsReprobed(t *testing.T) {
	for _, test := range []struct {
		name        string
		first       reply
		last        reply // of the replaced process
		unreachable bool  // refuses connections while a packet is sent
		lines       bool  // the new process accepts NDJSON
		want        string
	}{
		{"closed", ok, cutting, false, false, singlePackets},
		{"closed, accepts NDJSON", ok, cutting, false, true, "[1 1 2 4 8]"},
		{"closing", ok, closing, false, false, singlePackets},
		{"closing, accepts NDJSON", ok, closing, false, true, "[1 15]"},
		{"unreachable", closing, closing, true, false, singlePackets},
		{"unreachable, accepts NDJSON", closing, closing, true, true, singlePackets}, // it is probed again after a second
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatching(t, testConfig(), always(test.first))
				time.Sleep(minProbeInterval)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				analyzer.set(func(s *fakeAnalyzer) {
					s.ingest = always(test.last)
					s.health = func() reply { return after(time.Millisecond, ok) }
					if test.lines {
						s.health = func() reply { return after(time.Millisecond, ndjsonHealth()) }
					}
				})
				b.Offer(b.packets.some(t, 16))
				b.settler.await(t, 17)
				settled, probes := 17, 2
				analyzer.set(func(s *fakeAnalyzer) { s.ingest = always(after(2*time.Millisecond, ok)) })
				if test.unreachable {
					analyzer.set(func(s *fakeAnalyzer) { s.refuseConnections = true })
					b.Offer(b.packets.some(t, 1))
					b.settler.await(t, 18)
					synctest.Wait() // the probe fails, too
					analyzer.set(func(s *fakeAnalyzer) { s.refuseConnections = false })
					settled = 18
				}
				b.Offer(b.packets.some(t, 16))
				b.settler.await(t, settled+16)
				if got := batchSizes(analyzer.received()[2:]); got != test.want {
					t.Errorf("requests carried %s packets, want %s", got, test.want)
				}
				time.Sleep(failingProbeInterval)
				if analyzer.probeCount() != probes || b.epoch.acceptsNDJSON() != test.lines {
					t.Errorf("after %d probes it accepts NDJSON: %v", analyzer.probeCount(), b.epoch.acceptsNDJSON())
				}
			})
		})
	}
}

// The end of a connection advances the epoch if the connection was used in that epoch.
func TestEpochAdvances(t *testing.T) {
	bubble(t, func(t *testing.T) {
		i := newTestEpoch()
		a := newFakeAnalyzer(nil)
		var connections []*connection
		for range 3 {
			connections = append(connections, newConnection(func(ctx context.Context) (net.Conn, error) { return a.dial(ctx, "", "") }, i))
		}
		r := newRequest(testURL(t), "/ingest")
		r.preparePost(packetsOf(new(packetMaker).some(t, 1)))
		for step, test := range []struct {
			connection int
			reply      reply // if the connection is open
			want       int64
		}{
			{0, cutting, 1},
			{1, ok, 1},
			{2, cutting, 1},
			{0, ok, 2},               // closed
			{1, cutting, 2},          // used again
			{2, ok, 2},               // closed, perhaps together with the first
			{1, ok, 3},               // closed
			{0, closing, 3},          // announced in the first response
			{0, reply{cut: true}, 4}, // a new connection
			{0, reply{cut: true}, 5},
			{0, ok, 5},
			{0, closing, 6},
			{2, reply{hang: true}, 6},
			{2, say("nonsense\r\n\r\n"), 7},
		} {
			a.set(func(s *fakeAnalyzer) { s.ingest = always(test.reply) })
			c := connections[test.connection]
			c.begin()
			_, _ = c.exchange(t.Context(), r, time.Now().Add(time.Second))
			synctest.Wait()
			if got := i.number.Load(); got != test.want {
				t.Fatalf("after step %d the epoch is %d, want %d", step, got, test.want)
			}
		}
		for _, c := range connections {
			c.close()
		}
	})
}

// All connections that one process closes advance the epoch once.
func TestReplacedAnalyzerIsReprobedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency = 4
		analyzer := newFakeAnalyzer(always(after(time.Millisecond, cutting)))
		analyzer.health = ndjsonHealth
		b := start(t, config, analyzer.dial)
		settled := 0
		for _, connections := range []int{4, 1, 4, 4} {
			time.Sleep(minProbeInterval)
			b.batch.packets.Store(1) // one for each sender
			b.Offer(b.packets.some(t, connections))
			settled += connections
			b.settler.await(t, settled)
			analyzer.set(func(s *fakeAnalyzer) { s.ingest = always(after(time.Millisecond, ok)) })
		}
		if got := analyzer.dialCount() - analyzer.probeCount(); got != 8 {
			t.Fatalf("%d connections, want 8: the test requires four closed ones", got)
		}
		if got := analyzer.probeCount(); got != 2 {
			t.Errorf("%d probes for four closed connections", got)
		}
	})
}

// An analyzer that closes each connection after one response is not probed all the time. If
// it announces the close it gets full batches.
func TestAnalyzerWithoutKeepAlive(t *testing.T) {
	for _, test := range []struct {
		name     string
		reply    reply
		requests int // of 16 packets each
		probes   int // a second
	}{
		{"announced", closing, 100, 0},
		{"silently", cutting, 1, int(time.Second / minProbeInterval)},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatching(t, testConfig(), always(test.reply))
				for i := range 100 {
					b.Offer(b.packets.some(t, 16))
					b.settler.await(t, 16*(i+1))
					time.Sleep(10 * time.Millisecond)
				}
				whole := strings.Count(batchSizes(analyzer.received()), "16")
				if probes := analyzer.probeCount() - 1; whole < test.requests || probes > test.probes {
					t.Errorf("%d requests carried 16 packets, %d probes", whole, probes)
				}
			})
		})
	}
}
