package upstream

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// resultCase is the reply to each request, and its effects on a single packet and on the metrics.
type resultCase struct {
	name     string
	reply    reply
	outcome  string
	requests int
	failure  string // the reason of each request in the metrics
}

func TestResults(t *testing.T) {
	failed := func(reason string) reply {
		return reply{result: sink.Result{Outcome: sink.Failed, Reason: reason, Detail: "why"}}
	}
	for _, test := range []resultCase{
		{"delivered", ok, "delivered", 1, ""},
		{"delivered without exceptions", excepting(nil), "delivered", 1, ""},
		{"rejected as an exception", excepting(map[int]string{0: sink.Malformed}), "rejected malformed", 1, ""},
		{"throttled as an exception", excepting(map[int]string{0: ""}), "returned", 1, ""},
		{"rejected", rejecting(sink.InvalidPacket), "rejected invalid_packet", 1, ""},
		{"too large", rejecting(sink.TooLarge), "rejected too_large", 1, ""},
		{"rejected by the sink", reply{result: sink.Result{Outcome: sink.Rejected, Reason: sink.TooLarge, Unsent: true}}, "rejected too_large", 1, ""},
		{"throttled", throttling(time.Second), "returned", 1, sink.NotNow},
		{"status", failing, "returned", 3, sink.Status},
		{"unreadable", failed(sink.Unreadable), "returned", 3, sink.Unreadable},
		{"closed", closing, "returned", 3, sink.Reset},
		{"a hang", hanging, "returned", 3, sink.Timeout},
		{"aborted", reply{result: sink.Result{Outcome: sink.Aborted}}, "returned", 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.Retries, config.MaxFailures = 2, 100
				analyzer := newFakeSink(t, always(test.reply))
				b := start(t, config, analyzer)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				if got := b.settler.outcomeOf(1); got != test.outcome {
					t.Errorf("the packet was %s, want %s", got, test.outcome)
				}
				if got := len(analyzer.received()); got != test.requests {
					t.Errorf("%d requests, want %d", got, test.requests)
				}
				checkRequestMetrics(t, b, test)
				if got := b.settler.returnedTried(); (got == 1) != (test.outcome == "returned") {
					t.Errorf("%d returned packets are Tried", got)
				}
				if !b.Healthy() {
					t.Error("the analyzer is unhealthy")
				}
			})
		})
	}
}

// checkRequestMetrics checks that each sent request is counted, and each failure by its reason.
func checkRequestMetrics(t *testing.T, b *fixture, test resultCase) {
	t.Helper()
	counted := float64(test.requests)
	if test.reply.result.Unsent {
		counted = 0
	}
	if got := testutil.ToFloat64(b.metrics.requests); got != counted {
		t.Errorf("%v requests are counted, want %v", got, counted)
	}
	for _, reason := range sink.Failures() {
		want := 0.0
		if reason == test.failure {
			want = float64(test.requests)
		}
		if got := b.failures(reason); got != want {
			t.Errorf("%v failures for %s, want %v", got, reason, want)
		}
	}
}

// A batch is delivered except the packets that are listed.
func TestExceptions(t *testing.T) {
	for _, test := range []struct {
		name     string
		reasons  map[int]string
		outcomes []string
	}{
		{"none", nil, []string{"delivered", "delivered", "delivered"}},
		{"rejected", map[int]string{1: sink.InvalidPacket}, []string{"delivered", "rejected invalid_packet", "delivered"}},
		{"all rejected", map[int]string{2: sink.Malformed, 0: sink.Other, 1: sink.TooLarge}, []string{"rejected other", "rejected too_large", "rejected malformed"}},
		{"throttled", map[int]string{2: "", 0: ""}, []string{"returned", "delivered", "returned"}},
		{"both", map[int]string{2: "", 0: sink.Malformed}, []string{"rejected malformed", "delivered", "returned"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatching(t, testConfig(), always(excepting(test.reasons)))
				b.Offer(b.packets.some(t, 3))
				b.settler.await(t, 3)
				for i, want := range test.outcomes {
					if got := b.settler.outcomeOf(uint64(i + 1)); got != want {
						t.Errorf("packet %d was %s, want %s", i+1, got, want)
					}
				}
				if got := len(analyzer.received()); got != 1 {
					t.Errorf("%d requests, want 1", got)
				}
				if !b.Healthy() {
					t.Error("the result counts as a failure")
				}
			})
		})
	}
}

// A batch of which no packet was accepted is no sign that the analyzer works.
func TestRejectionsAreNoDeliveries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, _ := startBatching(t, testConfig(), always(excepting(map[int]string{0: sink.Malformed, 1: sink.Malformed})))
		b.Offer(b.packets.some(t, 2))
		b.settler.await(t, 2)
		if b.settler.count("rejected malformed") != 2 || b.lastDelivered.Load() != 0 {
			t.Errorf("outcomes: %v, last delivery at %d", b.settler.summary(), b.lastDelivered.Load())
		}
	})
}

func TestConnectFailureIsNotRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 3, 100
		analyzer := newFakeSink(t, always(ok))
		b := start(t, config, analyzer)
		analyzer.set(func(s *fakeSink) { s.gone = true })
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		if b.settler.outcomeOf(1) != "returned" || b.failures(sink.Connect) != 1 {
			t.Errorf("a packet that cannot be sent is %s after %v dials, want returned after 1",
				b.settler.outcomeOf(1), b.failures(sink.Connect))
		}
		if b.settler.returnedTried() > 0 {
			t.Error("a packet that was never sent is Tried")
		}
	})
}

// Throttled packets pause the analyzer.
func TestThrottledPacketsPauseTheAnalyzer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(excepting(map[int]string{0: ""})))
		analyzer.health = batching
		b := start(t, testConfig(), analyzer)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 2))
		b.settler.await(t, 2)
		if capacity, transient := b.Capacity(time.Now()); capacity > 0 || transient {
			t.Error("there is capacity during the pause")
		}
		time.Sleep(time.Second)
		if capacity, _ := b.Capacity(time.Now()); capacity == 0 {
			t.Error("there is no capacity after the pause")
		}
	})
}

// An analyzer that throttles each request gets smaller ones, which it may accept; one that delivers in
// between does not.
func TestRepeatedThrottlingShrinksBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const burst = 2 // packets
		analyzer := newFakeSink(t, func(r request) reply {
			if len(r.bodies) > burst {
				return throttling(time.Second)
			}
			return after(testConfig().Timeout/6, ok) // too long for larger batches
		})
		analyzer.health = batching
		b := start(t, testConfig(), analyzer)
		b.batch.packets.Store(8)
		settled := 0
		offer := func(n int, sizes string) {
			t.Helper()
			before := len(analyzer.received())
			b.Offer(b.packets.some(t, n))
			settled += n
			b.settler.await(t, settled)
			if got := batchSizes(analyzer.received()[before:]); got != sizes {
				t.Errorf("the requests had %s packets, want %s", got, sizes)
			}
			time.Sleep(2 * time.Second)
		}
		offer(8, "[8]")
		offer(1, "[1]")
		offer(8, "[8]")
		offer(8, "[8]")
		offer(8, "[2 2 2 2]")
	})
}

// An analyzer that requests one pause after the other is logged once, and again after a minute
// without a pause.
func TestPausesAreLoggedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := prepare(t, testConfig(), newFakeSink(t, nil))
		var log bytes.Buffer
		b.logger = slog.New(slog.NewTextHandler(&log, nil))
		pause := func(lines int) {
			t.Helper()
			b.pause(time.Now().Add(time.Second))
			if got := strings.Count(log.String(), "requests a pause"); got != lines {
				t.Errorf("%d lines, want %d: %s", got, lines, log.String())
			}
		}
		pause(1)
		for range 100 {
			time.Sleep(3 * time.Second)
			pause(1)
		}
		time.Sleep(time.Second + pauseLogInterval)
		pause(2)
	})
}

// A batch that is rejected as a whole is bisected to find the rejected packet.
func TestRejectedBatchIsBisected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, func(r request) reply {
			switch {
			case !r.contains(`"packet_id":"3"`):
				return ok
			case len(r.bodies) > 1:
				return rejecting(sink.Malformed)
			}
			return rejecting(sink.InvalidPacket)
		})
		analyzer.health = batching
		b := start(t, testConfig(), analyzer)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 8))
		b.settler.await(t, 8)
		if b.settler.outcomeOf(3) != "rejected invalid_packet" || b.settler.count("delivered") != 7 {
			t.Errorf("outcomes: %v, of the third packet %s", b.settler.summary(), b.settler.outcomeOf(3))
		}
		// One of 8 packets, two of 4, two of 2 and two of 1.
		if got := len(analyzer.received()); got != 7 {
			t.Errorf("%d requests, want 7", got)
		}
		if !b.Healthy() {
			t.Error("rejections count as failures of the analyzer")
		}
	})
}

// A batch that is too large as a whole makes batches smaller.
func TestTooLargeBatchShrinksBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, _ := startBatching(t, testConfig(), func(r request) reply {
			if len(r.bodies) > 2 {
				return rejecting(sink.TooLarge)
			}
			return after(100*time.Millisecond, ok) // too slow to grow them again
		})
		b.Offer(b.packets.some(t, 16))
		b.settler.await(t, 16)
		if got := b.batch.packets.Load(); got > 2 || b.settler.count("delivered") != 16 {
			t.Errorf("the batch size is %d; outcomes: %v", got, b.settler.summary())
		}
	})
}

// noBudget is a Budget that grants nothing.
type noBudget struct{}

func (noBudget) TakeAll(int, time.Time) bool { return false }

// Failed packets are not sent again without a budget; a rejected batch is.
func TestRetriesTakeBudget(t *testing.T) {
	for name, test := range map[string]struct {
		reply    reply
		outcome  string
		requests int
	}{
		"failed":   {failing, "returned", 1},
		"rejected": {rejecting(sink.Malformed), "rejected malformed", 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatching(t, testConfig(), always(test.reply))
				b.budget = noBudget{}
				b.Offer(b.packets.some(t, 2))
				b.settler.await(t, 2)
				if b.settler.count(test.outcome) != 2 || len(analyzer.received()) != test.requests {
					t.Errorf("outcomes: %v after %d requests", b.settler.summary(), len(analyzer.received()))
				}
			})
		})
	}
}

// An analyzer that asks for a pause during the bisection of a batch gets no more of it.
func TestPauseEndsBisection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, func(r request) reply {
			if r.contains(`"packet_id":"5"`) {
				return rejecting(sink.Malformed)
			}
			return throttling(5 * time.Second)
		})
		analyzer.health = batching
		b := start(t, testConfig(), analyzer)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 5))
		b.settler.await(t, 5)
		if got := len(analyzer.received()); got != 2 {
			t.Errorf("%d requests, want 2: the batch and its first half", got)
		}
		if b.settler.count("returned") != 5 {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
	})
}

func TestPauseIsHonored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(throttling(3*time.Second)))
		b := start(t, testConfig(), analyzer)
		b.Offer(b.packets.some(t, 5))
		b.settler.await(t, 5)
		if got := len(analyzer.received()); got != 1 {
			t.Errorf("%d requests, want 1: waiting packets must not be sent", got)
		}
		if got := b.settler.returnedTried(); got != 1 {
			t.Errorf("%d packets are Tried, want 1", got)
		}
		if !b.Healthy() {
			t.Error("a pause counts as a failure of the analyzer")
		}
		// A packet that is offered during the pause is returned, too.
		b.Offer(b.packets.some(t, 1))
		synctest.Wait()
		if got := b.settler.outcomeOf(6); got != "returned" {
			t.Errorf("a packet offered during the pause was %q", got)
		}
		for range 29 {
			time.Sleep(100 * time.Millisecond)
			if capacity, _ := b.Capacity(time.Now()); capacity > 0 {
				t.Fatal("there is capacity before the end of the pause")
			}
		}
		time.Sleep(200 * time.Millisecond)
		if capacity, transient := b.Capacity(time.Now()); capacity == 0 || !transient {
			t.Error("there is no capacity after the pause")
		}
		if got := len(analyzer.received()); got != 1 {
			t.Errorf("%d requests", got)
		}
	})
}
