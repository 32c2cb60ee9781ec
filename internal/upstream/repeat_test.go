package upstream

import (
	"slices"
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// A failed batch of a backend that recognises repetitions is repeated as it was.
func TestRepeatedBatchIsFrozen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries = 2
		again := failing
		again.result.Repeat = true
		b, analyzer := startBatching(t, config, always(again))
		b.Offer(b.packets.some(t, 4))
		b.settler.await(t, 4)
		requests := analyzer.received()
		if got := batchSizes(requests); got != "[4 4 4]" || b.settler.count("returned") != 4 {
			t.Fatalf("requests of %s packets, outcomes %v", got, b.settler.summary())
		}
		for _, r := range requests[1:] {
			if !slices.Equal(r.bodies, requests[0].bodies) {
				t.Errorf("%q is not the request before, %q", r.bodies, requests[0].bodies)
			}
		}
	})
}

// A packet that the analyzer failed with goes back to the router with its failure, alone.
func TestFailedException(t *testing.T) {
	bubble(t, func(t *testing.T) {
		partly := reply{result: sink.Result{Exceptions: []sink.Exception{{Packet: 1, Failed: true, Detail: "shard"}}}}
		b, analyzer := startBatching(t, testConfig(), always(partly))
		b.Offer(b.packets.some(t, 3))
		b.settler.await(t, 3)
		if b.settler.count("delivered") != 2 || b.settler.outcomeOf(2) != "returned" || len(analyzer.received()) != 1 {
			t.Errorf("outcomes %v after %d requests", b.settler.summary(), len(analyzer.received()))
		}
		if h := b.settler.troubleOf(2); h == nil || h.Attempts != 1 || h.Cause != "shard" || h.LastBatchSize != 3 {
			t.Errorf("the history is %+v", h)
		}
		if b.pausing(b.created) {
			t.Error("the analyzer is paused")
		}
	})
}

// A refusal of the client opens the breaker, also by packets that failed before, and is
// held against no packet.
func TestMisconfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		refusing := reply{result: sink.Result{Outcome: sink.Failed, Reason: sink.Misconfigured, Detail: "401", Unsent: true}}
		b := start(t, config, newFakeSink(t, always(refusing)))
		for i := range config.MaxFailures {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, i+1)
		}
		if b.Healthy() || b.settler.count("returned") != config.MaxFailures || b.settler.troubleOf(1) != nil {
			t.Errorf("healthy %v, outcomes %v, history %+v", b.Healthy(), b.settler.summary(), b.settler.troubleOf(1))
		}
		if got := b.failures(sink.Misconfigured); got != float64(config.MaxFailures) {
			t.Errorf("%v are counted", got)
		}
	})
}
