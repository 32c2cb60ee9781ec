package upstream

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/sink"
)

func down() reply { return failing }

func TestFirstProbeDecides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		analyzer.health = down
		b := start(t, testConfig(), analyzer)
		if capacity, transient := b.Capacity(time.Now()); b.Healthy() || capacity > 0 || transient {
			t.Fatal("an analyzer that never answered a probe is healthy")
		}
		if !b.NextProbe().After(time.Now()) {
			t.Error("there is no time of the next probe")
		}
		b.Offer(b.packets.some(t, 2))
		synctest.Wait()
		if b.settler.count("returned") != 2 || len(analyzer.received()) > 0 {
			t.Error("packets were sent")
		}
		analyzer.set(func(s *fakeSink) { s.health = batching })
		began := time.Now()
		b.settler.until(t, "it is half-open", b.Healthy)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("its recovery was detected after %v", took)
		}
		if b.Health() != "half-open" {
			t.Errorf("it is %q", b.Health())
		}
	})
}

// The status says why the breaker opened last, for as long as it is not closed.
func TestStatusSaysWhyTheBreakerOpened(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		analyzer := newFakeSink(t, always(ok))
		b := start(t, config, analyzer)
		outage := func() string { return b.Status(time.Now()).Outage }
		if outage() != "" {
			t.Errorf("it never opened: %q", outage())
		}
		analyzer.set(func(s *fakeSink) { s.health = func() reply { return closing } })
		b.settler.until(t, "it is unhealthy", func() bool { return !b.Healthy() })
		if outage() == "" {
			t.Error("nothing says why it is open")
		}
		b.ResetBreaker()
		if outage() != "" {
			t.Errorf("it has closed: %q", outage())
		}
		b.OpenBreaker(time.Now().Add(time.Hour))
		if outage() != "an operator asked for it" {
			t.Errorf("an operator opened it: %q", outage())
		}
	})
}

// No packet is sent before the first probe is complete, however long it takes.
func TestUnprobedAnalyzerIsUnhealthy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		analyzer.health = func() reply { return after(time.Second, ok) }
		b := prepare(t, testConfig(), analyzer)
		go b.Start(t.Context())
		time.Sleep(time.Second / 2)
		if capacity, transient := b.Capacity(time.Now()); b.Healthy() || capacity > 0 || transient || b.Health() != "down" {
			t.Errorf("before the response it is %q with a capacity of %d", b.Health(), capacity)
		}
		time.Sleep(time.Second)
		if capacity, _ := b.Capacity(time.Now()); !b.Healthy() || capacity == 0 {
			t.Errorf("after the response it is %q with a capacity of %d", b.Health(), capacity)
		}
	})
}

// A recovery is detected soon, however long the probe interval is.
func TestRecoveryIsDetectedBeforeProbeInterval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval, config.MaxFailures, config.Retries = time.Hour, 2, 5
		analyzer := newFakeSink(t, always(failing))
		b := start(t, config, analyzer)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		if b.Healthy() {
			t.Fatal("the breaker is not open")
		}
		analyzer.set(func(s *fakeSink) { s.ingest = always(ok) })
		time.Sleep(2 * time.Second)
		if b.breaker.State() != breaker.HalfOpen {
			t.Fatalf("after two seconds it is %v", b.breaker.State())
		}
	})
}

// With ProbeSoon a recovery is detected soon even after a long time.
func TestProbeSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = time.Hour
		analyzer := newFakeSink(t, always(ok))
		analyzer.gone = true
		b := start(t, config, analyzer)
		time.Sleep(10 * time.Minute) // the probe interval has grown
		analyzer.set(func(s *fakeSink) { s.gone = false })
		b.ProbeSoon(time.Now())
		time.Sleep(time.Second)
		if b.breaker.State() != breaker.HalfOpen {
			t.Errorf("after a second it is %v", b.breaker.State())
		}
	})
}

// An analyzer that hangs is unhealthy after MAX_FAILURES consecutive probe timeouts.
func TestFailedProbesOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = 5 * time.Second
		analyzer := newFakeSink(t, always(ok))
		b := start(t, config, analyzer)
		analyzer.set(func(s *fakeSink) { s.health = func() reply { return hanging } })
		time.Sleep(config.ProbeInterval*11/10 + time.Duration(config.MaxFailures)*(config.ProbeTimeout+minProbeInterval))
		if b.Healthy() {
			t.Error("an analyzer that does not answer probes is healthy")
		}
		if got := analyzer.probeCount(); got > 3+config.MaxFailures {
			t.Errorf("%d probes", got)
		}
	})
}

// An idle analyzer that is gone is unhealthy within a second after the next probe; one that
// answers with a failure is probed once a second.
func TestDeadIdleAnalyzerIsDetected(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*fakeSink)
		within time.Duration // of the next probe
	}{
		{"connections are refused", func(s *fakeSink) { s.gone = true }, time.Second},
		{"connections are reset", func(s *fakeSink) { s.health = func() reply { return closing } }, time.Second},
		{"it fails", func(s *fakeSink) { s.health = down }, 4*failingProbeInterval + time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.ProbeInterval = 2 * time.Second
				analyzer := newFakeSink(t, always(ok))
				b := start(t, config, analyzer)
				analyzer.set(test.change)
				time.Sleep(config.ProbeInterval*11/10 + test.within)
				if b.Healthy() {
					t.Error("it is healthy")
				}
				if got := b.metrics.probes[probeFailed]; testutil.ToFloat64(got) < float64(config.MaxFailures) {
					t.Errorf("it is unhealthy after %v failures", testutil.ToFloat64(got))
				}
			})
		})
	}
}

// A refused connection of one probe does not open the breaker; the next probes decide.
func TestFastProbesEndWithASuccess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = 10 * time.Second
		analyzer := newFakeSink(t, always(ok))
		b := start(t, config, analyzer)
		analyzer.set(func(s *fakeSink) { s.health = func() reply { return closing } })
		b.settler.until(t, "it is probed", func() bool { return testutil.ToFloat64(b.metrics.probes[probeFailed]) == 2 })
		analyzer.set(func(s *fakeSink) { s.health = func() reply { return ok } })
		time.Sleep(2 * minProbeInterval)
		probes := analyzer.probeCount()
		if !b.Healthy() || probes != 4 {
			t.Errorf("after %d probes it is %s", probes, b.Health())
		}
		time.Sleep(config.ProbeInterval * 8 / 10)
		if got := analyzer.probeCount(); got != probes {
			t.Errorf("%d more probes", got-probes)
		}
	})
}

// Probes of an analyzer that is gone are rate limited, however large MAX_FAILURES is.
func TestFastProbesAreRateLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval, config.MaxFailures = 10*time.Second, 1000
		analyzer := newFakeSink(t, always(ok))
		b := start(t, config, analyzer)
		analyzer.set(func(s *fakeSink) { s.health = func() reply { return closing } })
		time.Sleep(21 * time.Second)
		if got := analyzer.probeCount(); got < 50 || got > 125 || !b.Healthy() {
			t.Errorf("%d probes in at most 12 s", got)
		}
	})
}

// All waiting and in-flight packets are returned when the breaker opens.
func TestOpenBreakerReturnsAllPackets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency = 8
		analyzer := newFakeSink(t, always(hanging))
		analyzer.health = batching
		b := start(t, config, analyzer)
		b.batch.packets.Store(16)
		began := time.Now()
		b.Offer(b.packets.some(t, 1000))
		time.Sleep(config.Timeout)
		synctest.Wait()
		if got := b.settler.count("returned"); got < 1000-8*16 {
			t.Errorf("%d packets are returned at the timeout, want all that were waiting", got)
		}
		b.settler.await(t, 1000)
		if took := time.Since(began); took > config.Timeout+maxBackoff {
			t.Errorf("the packets were returned after %v", took)
		}
		if b.settler.count("returned") != 1000 || b.Healthy() {
			t.Errorf("outcomes: %v, healthy: %v", b.settler.summary(), b.Healthy())
		}
		synctest.Wait()
		if queued, inFlight := b.Volumes(); queued.Packets+inFlight.Packets != 0 || b.queue.bound.Load() != 0 {
			t.Errorf("%v and %v are still bound", queued, inFlight)
		}
	})
}

// Requests that are interrupted when the breaker opens are no failures of the analyzer.
func TestOpenBreakerInterruptsRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency, config.MaxFailures, config.Retries = 3, 2, 5
		analyzer := newFakeSink(t, func(r request) reply {
			if r.contains(`"packet_id":"3"`) {
				return failing
			}
			return hanging
		})
		b := start(t, config, analyzer)
		began := time.Now()
		for range 3 {
			b.Offer(b.packets.some(t, 1))
			synctest.Wait()
		}
		b.settler.await(t, 3)
		if took := time.Since(began); took > 2*maxBackoff {
			t.Errorf("it took %v", took)
		}
		if b.settler.count("returned") != 3 || b.failures(sink.Reset) != 0 || b.failures(sink.Status) != 2 {
			t.Errorf("outcomes: %v, %v resets", b.settler.summary(), b.failures(sink.Reset))
		}
	})
}

func TestHalfOpenAndSlowStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		analyzer := newFakeSink(t, always(ok))
		analyzer.health = down
		b := start(t, config, analyzer)
		analyzer.set(func(s *fakeSink) { s.health = batching })
		b.settler.until(t, "it is half-open", b.Healthy)

		if capacity, _ := b.Capacity(time.Now()); capacity != maxHalfOpenPackets {
			t.Errorf("the half-open capacity is %d, want %d", capacity, maxHalfOpenPackets)
		}
		if got := b.Ramp(time.Now()); got > 0.1 {
			t.Errorf("its half-open weight is %v", got)
		}
		analyzer.set(func(s *fakeSink) { s.ingest = always(hanging) })
		b.Offer(b.packets.some(t, 2))
		synctest.Wait()
		if capacity, _ := b.Capacity(time.Now()); capacity != 1 {
			t.Errorf("the remaining half-open capacity is %d, want 1", capacity)
		}
		b.settler.await(t, 2) // after the timeout
		if b.Healthy() {
			t.Error("a failure while half-open does not open the breaker")
		}

		analyzer.set(func(s *fakeSink) { s.ingest = always(ok) })
		b.settler.until(t, "it is half-open again", b.Healthy)
		b.settler.until(t, "the breaker is closed", func() bool {
			if capacity, _ := b.Capacity(time.Now()); capacity > 0 && b.breaker.State() == breaker.HalfOpen {
				b.Offer(b.packets.some(t, 1))
			}
			return b.breaker.State() == breaker.Closed
		})
		closed := time.Now()
		for _, step := range []struct{ done, weight float64 }{{0, .1}, {.05, .1}, {.25, .25}, {.5, .5}, {.9, .9}, {1, 1}, {2, 1}} {
			time.Sleep(time.Until(closed.Add(time.Duration(step.done * float64(config.SlowStart)))))
			got, want := b.Ramp(time.Now()), step.weight
			if math.Abs(got-want) > 0.01 {
				t.Errorf("after %v of the slow start its weight is %v, want %v", step.done, got, want)
			}
		}
		if b.Health() != "healthy" {
			t.Errorf("it is %q", b.Health())
		}
	})
}

func TestNoSlowStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.SlowStart = 0
		analyzer := newFakeSink(t, always(ok))
		analyzer.health = down
		b := start(t, config, analyzer)
		analyzer.set(func(s *fakeSink) { s.health = batching })
		b.settler.until(t, "it is half-open", b.Healthy)
		for i := range maxHalfOpenPackets {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, i+1)
		}
		if got := b.Ramp(time.Now()); b.breaker.State() != breaker.Closed || got != 1 {
			t.Errorf("it is %v with the weight %v", b.breaker.State(), got)
		}
	})
}

// An analyzer that is slow for each packet gets smaller batches, none that times out.
func TestBatchSizeFollowsSlowAnalyzer(t *testing.T) {
	for _, perPacket := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond} {
		t.Run(perPacket.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.Concurrency = 8
				var maxSeen atomic.Int64
				analyzer := newFakeSink(t, func(r request) reply {
					packets := len(r.bodies)
					for now := maxSeen.Load(); int64(packets) > now && !maxSeen.CompareAndSwap(now, int64(packets)); now = maxSeen.Load() {
					}
					return after(time.Duration(packets)*perPacket, ok)
				})
				analyzer.health = batching
				b := start(t, config, analyzer)
				offered, until := 0, time.Now().Add(5*time.Second)
				for time.Now().Before(until) {
					if capacity, _ := b.Capacity(time.Now()); capacity > 0 {
						b.Offer(b.packets.some(t, min(capacity, 200)))
						offered += min(capacity, 200)
					}
					time.Sleep(TickInterval)
					b.Tick()
				}
				b.settler.await(t, offered)
				if got := b.failures(sink.Timeout); got > 0 || !b.Healthy() {
					t.Errorf("%v requests timed out", got)
				}
				if maxBatch := int64(config.Timeout / perPacket); maxSeen.Load() > maxBatch {
					t.Errorf("a batch of %d packets, want at most %d", maxSeen.Load(), maxBatch)
				}
				if delivered, minDelivered := b.settler.count("delivered"), int(2*time.Second/perPacket); delivered < minDelivered {
					t.Errorf("%d packets delivered, want at least %d", delivered, minDelivered)
				}
				b.settler.wantOnce(t, offered)
			})
		})
	}
}

func TestProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = 100 * time.Millisecond
		analyzer := newFakeSink(t, always(ok))
		b := start(t, config, analyzer)
		time.Sleep(time.Second)
		if got := analyzer.probeCount(); got < 9 || got > 12 {
			t.Errorf("%d probes in a second at intervals of 100ms", got)
		}
		if got := testutil.ToFloat64(b.metrics.probes[probeOK]); got != float64(analyzer.probeCount()) {
			t.Errorf("%v of %d probes are counted", got, analyzer.probeCount())
		}
	})
}

// An analyzer from which packets would come back gets none from the first probe on that reports it, and
// one that could not be reached before is reported as such.
func TestLoopsAreRefusedAtOnce(t *testing.T) {
	loop := reply{result: sink.Result{Outcome: sink.Failed, Reason: sink.Loop, Detail: "it sends packets back", Unsent: true}}
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		b := start(t, testConfig(), analyzer)
		for _, health := range []reply{ok, unreachable} {
			analyzer.set(func(s *fakeSink) { s.health = func() reply { return health } })
			time.Sleep(2 * testConfig().ProbeInterval)
			analyzer.set(func(s *fakeSink) { s.health = func() reply { return loop } })
			time.Sleep(2 * testConfig().ProbeInterval)
			if status := b.Status(time.Now()); status.Healthy || status.Outage != loop.result.Detail {
				t.Errorf("%+v", status)
			}
		}
	})
}

// A timeout is described by the setting that ended the request.
func TestTimeoutsNameTheirSetting(t *testing.T) {
	late := reply{result: sink.Result{Outcome: sink.Failed, Reason: sink.Timeout, Detail: "read tcp 10.0.0.1:53154->10.0.0.2:9001: i/o timeout"}}
	for want, analyzer := range map[string]func(*fakeSink){
		"no response within 500ms, SENDER_TIMEOUT_MS":                func(s *fakeSink) { s.ingest = always(late) },
		"no response to a probe within 2s, HEALTH_CHECK_TIMEOUT_SEC": func(s *fakeSink) { s.health = func() reply { return late } },
	} {
		bubble(t, func(t *testing.T) {
			config := testConfig()
			config.Timeout, config.ProbeTimeout = 500*time.Millisecond, 2*time.Second
			s := newFakeSink(t, always(ok))
			b := start(t, config, s)
			s.set(analyzer)
			b.Offer(b.packets.some(t, config.MaxFailures))
			b.settler.until(t, "it is unhealthy", func() bool { return !b.Healthy() })
			if b.Cause() != want || b.Status(time.Now()).Outage != want {
				t.Errorf("%q, want %q", b.Cause(), want)
			}
		})
	}
}
