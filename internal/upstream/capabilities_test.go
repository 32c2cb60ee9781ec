package upstream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

const singlePackets = "[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1]"

// replacementCase is a sign that the analyzer was replaced, and the sizes of the requests after it.
type replacementCase struct {
	name        string
	announced   bool // at the end of a request, not at the start of the next
	unreachable bool // while a packet is sent
	batches     bool // the new process accepts several packets
	want        string
}

// After a sign that the analyzer was replaced it gets single packets until a probe, which
// is sent at once, has learned that it accepts several.
func TestReplacedAnalyzerIsReprobed(t *testing.T) {
	for _, test := range []replacementCase{
		{"closed", false, false, false, singlePackets},
		{"closed, accepts several", false, false, true, "[1 1 2 4 8]"},
		{"closing", true, false, false, singlePackets},
		{"closing, accepts several", true, false, true, "[1 15]"},
		{"unreachable", false, true, false, singlePackets},
		{"unreachable, accepts several", false, true, true, singlePackets}, // it is probed again after a second
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatching(t, testConfig(), always(ok))
				settled := replace(t, b, analyzer, test)
				b.Offer(b.packets.some(t, 16))
				b.settler.await(t, settled+16)
				if got := batchSizes(analyzer.received()[2:]); got != test.want {
					t.Errorf("requests carried %s packets, want %s", got, test.want)
				}
				time.Sleep(failingProbeInterval)
				if got := analyzer.Capabilities(); analyzer.probeCount() != 2 || got.MaxPackets > 1 != test.batches {
					t.Errorf("after %d probes the capabilities are %+v", analyzer.probeCount(), got)
				}
			})
		})
	}
}

// replace replaces the analyzer after the Upstream has sent batches to it, and returns the
// number of settled packets.
func replace(t *testing.T, b *fixture, analyzer *fakeSink, test replacementCase) (settled int) {
	t.Helper()
	time.Sleep(minProbeInterval)
	b.Offer(b.packets.some(t, 1))
	b.settler.await(t, 1)
	analyzer.set(func(s *fakeSink) {
		if test.announced {
			s.ingest = func(request) reply { return reply{result: sink.Result{ProbeSoon: analyzer.replace()}} }
		}
		s.health = func() reply { return reply{delay: time.Millisecond, batches: test.batches} }
	})
	b.Offer(b.packets.some(t, 16))
	b.settler.await(t, 17)
	analyzer.set(func(s *fakeSink) {
		s.ingest = always(after(2*time.Millisecond, ok))
		s.replaced = !test.announced
	})
	if !test.unreachable {
		return 17
	}
	analyzer.set(func(s *fakeSink) { s.gone = true })
	b.Offer(b.packets.some(t, 1))
	b.settler.await(t, 18)
	synctest.Wait() // the probe fails, too
	analyzer.set(func(s *fakeSink) { s.gone = false })
	return 18
}

// An analyzer that seems to be replaced after each request is not probed all the time.
func TestReprobesAreRateLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var analyzer *fakeSink
		b, analyzer := startBatching(t, testConfig(), func(request) reply {
			return reply{result: sink.Result{ProbeSoon: analyzer.replace()}}
		})
		for i := range 100 {
			b.Offer(b.packets.some(t, 16))
			b.settler.await(t, 16*(i+1))
			time.Sleep(10 * time.Millisecond)
		}
		if probes := analyzer.probeCount() - 1; probes < 1 || probes > int(time.Second/minProbeInterval) {
			t.Errorf("%d probes in a second", probes)
		}
		if !strings.Contains(batchSizes(analyzer.received()), "16") {
			t.Error("no request carried 16 packets")
		}
	})
}

// Several packets are sent while the last successful probe tells that they are accepted,
// and no more than are accepted.
func TestCapabilitiesBoundBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		b := start(t, testConfig(), analyzer)
		b.batch.packets.Store(10)
		settled := 0
		send := func(wantRequests int) {
			t.Helper()
			before := len(analyzer.received())
			b.Offer(b.packets.some(t, 4))
			settled += 4
			b.settler.await(t, settled)
			if got := len(analyzer.received()) - before; got != wantRequests {
				t.Errorf("4 packets took %d requests, want %d", got, wantRequests)
			}
			synctest.Wait()
		}
		send(4)
		awaitProbe(t, b, analyzer, batching)
		send(1)
		analyzer.set(func(s *fakeSink) { s.capabilities.MaxPackets = 3 })
		send(2)
		if got := batchSizes(analyzer.received()[5:]); got != "[3 1]" {
			t.Errorf("requests carried %s packets", got)
		}
		awaitProbe(t, b, analyzer, func() reply { return ok })
		send(4)
		awaitProbe(t, b, analyzer, batching)
		send(1)
		rejectBatches(analyzer)
		send(5) // the batch and each packet alone
		send(4)
		if b.settler.count("delivered") != settled {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
	})
}

// awaitProbe waits until the analyzer has answered a probe with health.
func awaitProbe(t *testing.T, b *fixture, analyzer *fakeSink, health func() reply) {
	t.Helper()
	analyzer.set(func(s *fakeSink) { s.health = health })
	before := analyzer.probeCount()
	b.settler.until(t, "a probe is sent", func() bool { return analyzer.probeCount() > before })
	synctest.Wait()
}

// rejectBatches makes the analyzer reject the next batch; the sink learns from the rejection
// that several packets are not accepted.
func rejectBatches(analyzer *fakeSink) {
	analyzer.set(func(s *fakeSink) {
		s.ingest = func(r request) reply {
			if len(r.bodies) == 1 {
				return ok
			}
			analyzer.set(func(s *fakeSink) { s.capabilities.MaxPackets = 1 })
			return rejecting(sink.UnsupportedMedia)
		}
	})
}
