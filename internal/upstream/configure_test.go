package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// configure changes the current configuration.
func (b *fixture) configure(change func(*Config)) {
	next := *b.config.Load()
	change(&next)
	b.Configure(next)
}

// Each setting takes effect on a running analyzer.
func TestConfigure(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, b *fixture, analyzer *fakeSink){
		"Retries":                      checkRetries,
		"Timeout":                      checkTimeout,
		"ProbeInterval":                checkProbeInterval,
		"ProbeTimeout and MaxFailures": checkProbeTimeout,
		"SlowStart":                    checkSlowStart,
		"Concurrency":                  checkConcurrency,
		"QueuePackets":                 checkQueuePackets,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				analyzer := newFakeSink(t, always(ok))
				test(t, start(t, testConfig(), analyzer), analyzer)
			})
		})
	}
}

func checkRetries(t *testing.T, b *fixture, analyzer *fakeSink) {
	t.Helper()
	analyzer.set(func(s *fakeSink) { s.ingest = always(failing) })
	b.configure(func(c *Config) { c.Retries, c.MaxFailures = 5, 100 })
	b.Offer(b.packets.some(t, 1))
	b.settler.await(t, 1)
	if got := len(analyzer.received()); got != 6 {
		t.Errorf("%d requests, want 6", got)
	}
}

func checkTimeout(t *testing.T, b *fixture, analyzer *fakeSink) {
	t.Helper()
	analyzer.set(func(s *fakeSink) { s.ingest = always(hanging) })
	b.configure(func(c *Config) { c.Timeout, c.Retries = 7*time.Second, 0 })
	began := time.Now()
	b.Offer(b.packets.some(t, 1))
	b.settler.await(t, 1)
	if took := time.Since(began); took != 7*time.Second {
		t.Errorf("a request took %v", took)
	}
}

func checkProbeInterval(t *testing.T, b *fixture, analyzer *fakeSink) {
	t.Helper()
	before := analyzer.probeCount()
	b.configure(func(c *Config) { c.ProbeInterval = time.Second })
	time.Sleep(10 * time.Second)
	if got := analyzer.probeCount() - before; got < 8 || got > 12 {
		t.Errorf("%d probes in ten seconds", got)
	}
}

func checkProbeTimeout(t *testing.T, b *fixture, analyzer *fakeSink) {
	t.Helper()
	analyzer.set(func(s *fakeSink) { s.health = func() reply { return after(5*time.Second, failing) } })
	b.configure(func(c *Config) { c.ProbeInterval, c.ProbeTimeout, c.MaxFailures = time.Second, time.Second, 1 })
	time.Sleep(3 * time.Second)
	if b.Healthy() {
		t.Error("it is healthy after a probe that timed out")
	}
}

func checkSlowStart(t *testing.T, b *fixture, _ *fakeSink) {
	t.Helper()
	b.OpenBreaker(time.Now().Add(time.Hour))
	b.ResetBreaker()
	time.Sleep(5 * time.Second)
	b.configure(func(c *Config) { c.SlowStart = 20 * time.Second })
	if got := b.Ramp(time.Now()); got < 0.24 || got > 0.26 {
		t.Errorf("after a quarter of the slow start the ramp is %v", got)
	}
	if b.configure(func(c *Config) { c.SlowStart = 0 }); b.Ramp(time.Now()) != 1 {
		t.Errorf("without slow start the ramp is %v", b.Ramp(time.Now()))
	}
}

func checkConcurrency(t *testing.T, b *fixture, analyzer *fakeSink) {
	t.Helper()
	analyzer.set(func(s *fakeSink) { s.ingest = always(after(400*time.Millisecond, ok)) })
	b.configure(func(c *Config) { c.Concurrency = 4 })
	b.Offer(b.packets.some(t, 100))
	for _, want := range []int{4, 1, 3} {
		b.configure(func(c *Config) { c.Concurrency = want })
		time.Sleep(500 * time.Millisecond) // those that were retired end their requests
		synctest.Wait()
		if _, inFlight := b.Volumes(); inFlight.Packets != int64(want) {
			t.Errorf("%d requests are in flight, want %d", inFlight.Packets, want)
		}
	}
	b.settler.await(t, 100)
	b.settler.wantOnce(t, 100)
}

func checkQueuePackets(t *testing.T, b *fixture, analyzer *fakeSink) {
	t.Helper()
	analyzer.set(func(s *fakeSink) { s.ingest = always(hanging) })
	b.configure(func(c *Config) { c.QueuePackets = 3 })
	if capacity, _ := b.Capacity(time.Now()); capacity != 3 {
		t.Errorf("the capacity is %d", capacity)
	}
	b.Offer(b.packets.some(t, 3))
	b.configure(func(c *Config) { c.QueuePackets = 2 }) // below what it holds
	if capacity, _ := b.Capacity(time.Now()); capacity > 0 {
		t.Errorf("the capacity is %d beside 3 packets", capacity)
	}
	b.Evict()
	b.settler.await(t, 3)
	b.Admit()
	b.configure(func(c *Config) { c.QueuePackets = 50 })
	for range 10 {
		b.Tick()
	}
	if capacity, _ := b.Capacity(time.Now()); capacity != 50 {
		t.Errorf("the capacity is %d after it was raised", capacity)
	}
}

// An eviction returns all packets, those of requests in flight too, and none is sent until
// it ends.
func TestEvict(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(hanging))
		b := start(t, testConfig(), analyzer)
		b.Offer(b.packets.some(t, 5))
		synctest.Wait()
		b.Evict()
		b.settler.await(t, 5)
		if b.settler.count("returned") != 5 || !b.Healthy() {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
		requests := len(analyzer.received())
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 6)
		if got := len(analyzer.received()); got != requests || b.settler.outcomeOf(6) != "returned" {
			t.Errorf("%d requests after the eviction", got-requests)
		}
		analyzer.set(func(s *fakeSink) { s.ingest = always(ok) })
		b.Admit()
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 7)
		if b.settler.outcomeOf(7) != "delivered" {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
	})
}

// In maintenance there are no probes; afterwards the first one decides.
func TestMaintenance(t *testing.T) {
	for _, healthy := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			config := testConfig()
			config.ProbeInterval = time.Second
			analyzer := newFakeSink(t, always(ok))
			b := start(t, config, analyzer)
			b.SetProbing(false)
			synctest.Wait()
			before := analyzer.probeCount()
			time.Sleep(3 * time.Hour)
			if got := analyzer.probeCount(); got != before || b.Healthy() {
				t.Errorf("%d probes in maintenance, healthy: %v", got-before, b.Healthy())
			}
			analyzer.set(func(s *fakeSink) { s.gone = !healthy })
			b.SetProbing(true)
			synctest.Wait()
			if b.Healthy() != healthy || healthy && b.Ramp(time.Now()) == 1 {
				t.Errorf("healthy: %v, want %v; the ramp is %v", b.Healthy(), healthy, b.Ramp(time.Now()))
			}
		})
	}
}

// An analyzer that starts in maintenance is not probed.
func TestStartInMaintenance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		b := prepare(t, testConfig(), analyzer)
		b.SetProbing(false)
		b.Start(t.Context())
		if b.Healthy() || analyzer.probeCount() > 0 {
			t.Errorf("%d probes", analyzer.probeCount())
		}
		b.SetProbing(true)
		synctest.Wait()
		if !b.Healthy() {
			t.Error("it is not healthy after maintenance")
		}
	})
}

// Maintenance that begins during the first probe, at the start or after maintenance, is not
// ended by its result.
func TestMaintenanceDuringFirstProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeSink(t, always(ok))
		analyzer.health = func() reply { return after(time.Second, ok) }
		b := prepare(t, testConfig(), analyzer)
		go b.Start(t.Context())
		for _, when := range []string{"at the start", "after maintenance"} {
			time.Sleep(time.Second / 2)
			b.SetProbing(false)
			if time.Sleep(time.Second); b.Healthy() {
				t.Errorf("%s: it is healthy in maintenance", when)
			}
			b.SetProbing(true)
		}
		if time.Sleep(2 * time.Second); !b.Healthy() {
			t.Error("it is not healthy after maintenance")
		}
	})
}

// No probe closes a breaker that is forced open before its time, also while no analyzer is
// available; then it is probed as usual.
func TestOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = time.Second
		b := start(t, config, newFakeSink(t, always(ok)))
		until := time.Now().Add(10 * time.Minute)
		b.OpenBreaker(until)
		for time.Now().Before(until.Add(-time.Second)) {
			b.ProbeSoon(time.Now())
			time.Sleep(time.Second)
			if status := b.Status(time.Now()); status.Breaker.State != breaker.Open || !status.Breaker.ForcedUntil.Equal(until) {
				t.Fatalf("after %v: %+v", time.Until(until), status.Breaker)
			}
		}
		time.Sleep(3 * time.Second)
		if status := b.Status(time.Now()); status.Breaker.State != breaker.HalfOpen || !status.Breaker.ForcedUntil.IsZero() {
			t.Errorf("after its time: %+v", status.Breaker)
		}
		b.OpenBreaker(time.Now().Add(time.Hour))
		b.ResetBreaker()
		if b.breaker.State() != breaker.Closed || b.Ramp(time.Now()) != 0.1 {
			t.Errorf("after a reset it is %v, the ramp is %v", b.breaker.State(), b.Ramp(time.Now()))
		}
	})
}

// The status has the pace, the highest one of ten minutes, and the p99 of a minute.
func TestPaceAndLatency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency = 4
		b := start(t, config, newFakeSink(t, always(after(100*time.Millisecond, ok))))
		run := func(perTick int, ticks int) {
			for range ticks {
				b.Offer(b.packets.some(t, perTick))
				time.Sleep(TickInterval)
				b.Tick()
			}
		}
		run(2, 30)
		status := b.Status(time.Now())
		if status.Pace < 18 || status.Pace > 22 || status.HighestPace < status.Pace || status.HighestPace > 22 { // deliveries at the end of a second count for one of two
			t.Errorf("pace %v, highest %v, want 20", status.Pace, status.HighestPace)
		}
		if status.LatencyP99 < 90*time.Millisecond || status.LatencyP99 > 220*time.Millisecond {
			t.Errorf("p99 is %v", status.LatencyP99)
		}
		run(0, 30)
		if status := b.Status(time.Now()); status.Pace != 0 || status.HighestPace < 18 {
			t.Errorf("pace %v, highest %v, want 0 and 20", status.Pace, status.HighestPace)
		}
		run(0, (paceMinutes+1)*600)
		if status := b.Status(time.Now()); status.HighestPace != 0 || status.LatencyP99 != 0 {
			t.Errorf("highest pace %v, p99 %v after ten minutes", status.HighestPace, status.LatencyP99)
		}
	})
}

// The full pace is what the analyzer delivers while more comes than it can deliver, however little it
// gets otherwise.
func TestFullPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency, config.QueuePackets = 4, 1000
		b := start(t, config, newFakeSink(t, always(after(100*time.Millisecond, ok))))
		run := func(perTick int, ticks int) float64 {
			for range ticks {
				b.Offer(b.packets.some(t, perTick))
				time.Sleep(TickInterval)
				b.Tick()
			}
			return b.FullPace()
		}
		if got := run(3, 100); got != 0 { // it could deliver 4
			t.Errorf("%v is its full pace, though it could deliver more", got)
		}
		if got := run(6, 100); got < 38 || got > 42 {
			t.Errorf("the full pace is %v, want 40", got)
		}
		if got := run(0, 300); got < 38 || got > 42 { // what waited is delivered
			t.Errorf("the full pace is %v when nothing comes, want 40", got)
		}
		config.Concurrency = 8
		b.Configure(config)
		if got := run(6, 200); got < 55 || got > 65 {
			t.Errorf("the full pace is %v of an analyzer that delivered 60", got)
		}
	})
}
