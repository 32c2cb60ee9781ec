package upstream

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// A lack of resources of this machine is a failure neither of the analyzer nor of the packet.
// Requests and probes are rate limited, and counted.
func TestExhaustionIsNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval, config.MaxFailures = time.Second, 2
		b, analyzer := startBatching(t, config, always(ok))
		analyzer.set(func(s *fakeSink) {
			s.ingest = always(exhausted)
			s.health = func() reply { return exhausted }
		})
		before := analyzer.probeCount()
		const sends = 20
		began := time.Now()
		for i := range sends {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, i+1)
		}
		if took := time.Since(began); took != sends*exhaustionPause {
			t.Errorf("%d requests took %v", sends, took)
		}
		time.Sleep(10 * time.Second)
		if b.settler.count("returned") != sends || b.settler.returnedTried() != 0 || b.settler.troubleOf(1) != nil {
			t.Errorf("the packets were %v, %d are Tried, recorded: %+v", b.settler.summary(), b.settler.returnedTried(), b.settler.troubleOf(1))
		}
		if !b.Healthy() || b.Health() != "healthy" {
			t.Errorf("the analyzer is %s", b.Health())
		}
		if b.failures(sink.LocalResources) != sends || b.failures(sink.Connect) != 0 {
			t.Errorf("%v and %v failures", b.failures(sink.LocalResources), b.failures(sink.Connect))
		}
		if got := testutil.ToFloat64(b.metrics.probes[probeFailed]); got != 0 {
			t.Errorf("%v probes failed", got)
		}
		// Probes are sent each second.
		if got := analyzer.probeCount() - before; got < 10 || got > 15 {
			t.Errorf("%d probes", got)
		}
		if got := testutil.ToFloat64(b.metrics.probes[sink.LocalResources]); got != float64(analyzer.probeCount()-before) {
			t.Errorf("%v probes are counted as not sent", got)
		}
		analyzer.set(func(s *fakeSink) { s.ingest = always(ok) })
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, sends+1)
		if b.settler.count("delivered") != 1 {
			t.Errorf("afterwards: %v", b.settler.summary())
		}
	})
}

// An analyzer that was never reached is unhealthy, whatever the reason, until a probe
// succeeds.
func TestExhaustionAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		analyzer.health = func() reply {
			if analyzer.probeCount() <= 5 {
				return exhausted
			}
			return ok
		}
		b := start(t, testConfig(), analyzer)
		if b.Healthy() {
			t.Fatal("an analyzer that never answered a probe is healthy")
		}
		began := time.Now()
		b.settler.until(t, "it is half-open", b.Healthy)
		if took := time.Since(began); took > 10*time.Second || analyzer.probeCount() > 10 {
			t.Errorf("its recovery was detected after %v and %d probes", took, analyzer.probeCount())
		}
	})
}
