package upstream

import (
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

func down() reply { return status(500, "", "") }

func TestFirstProbeDecides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(always(ok))
		analyzer.health = down
		b := start(t, testConfig(), analyzer.dial)
		if room, brief := b.Capacity(time.Now()); b.Healthy() || room > 0 || brief {
			t.Fatal("an analyzer that has never answered is thought healthy")
		}
		if !b.NextTrial().After(time.Now()) {
			t.Error("it is not said when it is tried again")
		}
		b.Offer(b.packets.some(t, 2))
		synctest.Wait()
		if b.settler.count("returned") != 2 || len(analyzer.got()) > 0 {
			t.Error("packets are sent to it")
		}
		analyzer.set(func(s *scripted) { s.health = lines })
		began := time.Now()
		b.settler.until(t, "it is tried", b.Healthy)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("its return was noticed after %v", took)
		}
		if b.Health() != "on trial" {
			t.Errorf("it is %q", b.Health())
		}
	})
}

// Nobody is given packets before it has answered, however long that takes.
func TestUnaskedAnalyzerIsNotHealthy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(always(ok))
		analyzer.health = func() reply { return reply{delay: time.Second, parts: ok.parts} }
		b := prepare(t, testConfig(), analyzer.dial)
		go b.Start(t.Context())
		time.Sleep(time.Second / 2)
		if room, brief := b.Capacity(time.Now()); b.Healthy() || room > 0 || brief || b.Health() != "down" {
			t.Errorf("before it has answered it is %q and has room for %d", b.Health(), room)
		}
		time.Sleep(time.Second)
		if room, _ := b.Capacity(time.Now()); !b.Healthy() || room == 0 {
			t.Errorf("afterwards it is %q and has room for %d", b.Health(), room)
		}
	})
}

// A return is noticed soon, however far the regular probes are apart.
func TestRecoveryDoesNotWaitForTheRegularProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval, config.MaxFailures, config.Retries = time.Hour, 2, 5
		analyzer := newScripted(always(status(500, "", "")))
		b := start(t, config, analyzer.dial)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		if b.Healthy() {
			t.Fatal("the failures are not counted")
		}
		analyzer.set(func(s *scripted) { s.ingest = always(ok) })
		time.Sleep(2 * time.Second)
		if b.breaker.State() != breaker.HalfOpen {
			t.Fatalf("it is %v two seconds later", b.breaker.State())
		}
	})
}

// While nobody else is there, a return after a long time is noticed soon, too.
func TestHastenedProbesComeSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = time.Hour
		analyzer := newScripted(always(ok))
		analyzer.refuses = true
		b := start(t, config, analyzer.dial)
		time.Sleep(10 * time.Minute) // the pause has grown
		analyzer.set(func(s *scripted) { s.refuses = false })
		b.ProbeSoon(time.Now())
		time.Sleep(time.Second)
		if b.breaker.State() != breaker.HalfOpen {
			t.Errorf("it is %v a second later", b.breaker.State())
		}
	})
}

// An analyzer that hangs is out after MAX_FAILURES probes that time out, one after the
// other.
func TestFailingProbesMakeItUnhealthy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = 5 * time.Second
		analyzer := newScripted(always(ok))
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.health = func() reply { return reply{hang: true} } })
		time.Sleep(config.ProbeInterval*11/10 + time.Duration(config.MaxFailures)*(config.ProbeTimeout+promptInterval))
		if b.Healthy() {
			t.Error("an analyzer that does not answer its probes is thought healthy")
		}
		if got := analyzer.probed(); got > 3+config.MaxFailures {
			t.Errorf("%d probes", got)
		}
	})
}

// An idle analyzer that is gone is out within a second of the next probe; one that
// answers with a failure is asked once a second.
func TestDeadIdleAnalyzerIsNoticedSoon(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*scripted)
		within time.Duration // of the next probe
	}{
		{"connections are refused", func(s *scripted) { s.refuses = true }, time.Second},
		{"connections are reset", func(s *scripted) { s.health = func() reply { return reply{cut: true} } }, time.Second},
		{"answers are cut", func(s *scripted) {
			s.health = func() reply { return reply{parts: []string{"HTTP/1.1 200 OK\r\n"}, cut: true} }
		}, time.Second},
		{"it fails", func(s *scripted) { s.health = down }, 4*doubtInterval + time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.ProbeInterval = 2 * time.Second
				analyzer := newScripted(always(ok))
				b := start(t, config, analyzer.dial)
				analyzer.set(test.change)
				time.Sleep(config.ProbeInterval*11/10 + test.within)
				if b.Healthy() {
					t.Error("it is thought healthy")
				}
				if got := b.metrics.probes[probeFailed]; testutil.ToFloat64(got) < float64(config.MaxFailures) {
					t.Errorf("it is out after %v failures", testutil.ToFloat64(got))
				}
			})
		})
	}
}

// One probe that is refused makes nothing unhealthy: the next ones decide, and then all is
// as it was.
func TestQuickProbesEndWithAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = 10 * time.Second
		analyzer := newScripted(always(ok))
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.health = func() reply { return reply{cut: true} } })
		b.settler.until(t, "it is probed", func() bool { return testutil.ToFloat64(b.metrics.probes[probeFailed]) == 2 })
		analyzer.set(func(s *scripted) { s.health = func() reply { return ok } })
		time.Sleep(2 * promptInterval)
		probes := analyzer.probed()
		if !b.Healthy() || probes != 4 {
			t.Errorf("after %d probes it is %s", probes, b.Health())
		}
		time.Sleep(config.ProbeInterval * 8 / 10)
		if got := analyzer.probed(); got != probes {
			t.Errorf("%d more probes", got-probes)
		}
	})
}

// However many failures it takes, an analyzer that is gone is not asked without end.
func TestQuickProbesArePaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval, config.MaxFailures = 10*time.Second, 1000
		analyzer := newScripted(always(ok))
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.health = func() reply { return reply{cut: true} } })
		time.Sleep(21 * time.Second)
		if got := analyzer.probed(); got < 50 || got > 125 || !b.Healthy() {
			t.Errorf("%d probes in at most 12 s", got)
		}
	})
}

// At the moment when the breaker opens all that waits and all that is under
// way goes back.
func TestHangingAnalyzerLosesItsPacketsWithinTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency = 8
		analyzer := newScripted(always(reply{hang: true}))
		analyzer.health = lines
		b := start(t, config, analyzer.dial)
		b.batch.packets.Store(16)
		began := time.Now()
		b.Offer(b.packets.some(t, 1000))
		time.Sleep(config.Timeout)
		synctest.Wait()
		if got := b.settler.count("returned"); got < 1000-8*16 {
			t.Errorf("%d packets are back when the timeout is over: those that wait should be", got)
		}
		b.settler.await(t, 1000)
		if took := time.Since(began); took > config.Timeout+longestBackoff {
			t.Errorf("the packets left after %v", took)
		}
		if b.settler.count("returned") != 1000 || b.Healthy() {
			t.Errorf("fates: %v, healthy: %v", b.settler.summary(), b.Healthy())
		}
		synctest.Wait()
		if queued, inFlight := b.Volumes(); queued.Packets+inFlight.Packets != 0 || b.queue.bound.Load() != 0 {
			t.Errorf("%v and %v are still bound", queued, inFlight)
		}
	})
}

// The requests that we break off ourselves when the breaker opens are no
// failures of the analyzer.
func TestOpeningInterruptsWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency, config.MaxFailures, config.Retries = 3, 2, 5
		analyzer := newScripted(func(r seen) reply {
			if strings.Contains(r.body, `"packet_id":"3"`) {
				return status(500, "", "")
			}
			return reply{hang: true}
		})
		b := start(t, config, analyzer.dial)
		began := time.Now()
		for range 3 {
			b.Offer(b.packets.some(t, 1))
			synctest.Wait()
		}
		b.settler.await(t, 3)
		if took := time.Since(began); took > 2*longestBackoff {
			t.Errorf("it took %v", took)
		}
		if b.settler.count("returned") != 3 || b.failures(reasonReset) != 0 || b.failures(reasonStatus) != 2 {
			t.Errorf("fates: %v, %v resets", b.settler.summary(), b.failures(reasonReset))
		}
	})
}

func TestTrialsAndSlowStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		analyzer := newScripted(always(ok))
		analyzer.health = down
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.health = lines })
		b.settler.until(t, "it is tried", b.Healthy)

		if room, _ := b.Capacity(time.Now()); room != trials {
			t.Errorf("%d packets may be bound on trial, want %d", room, trials)
		}
		if got := b.Weight(time.Now()); got > config.Weight/10 {
			t.Errorf("its weight on trial is %v", got)
		}
		analyzer.set(func(s *scripted) { s.ingest = always(reply{hang: true}) })
		b.Offer(b.packets.some(t, 2))
		synctest.Wait()
		if room, _ := b.Capacity(time.Now()); room != 1 {
			t.Errorf("%d more packets may be bound on trial, want 1", room)
		}
		b.settler.await(t, 2) // they time out
		if b.Healthy() {
			t.Error("a failure on trial is forgiven")
		}

		analyzer.set(func(s *scripted) { s.ingest = always(ok) })
		b.settler.until(t, "it is tried again", b.Healthy)
		b.settler.until(t, "the trials succeed", func() bool {
			if room, _ := b.Capacity(time.Now()); room > 0 && b.breaker.State() == breaker.HalfOpen {
				b.Offer(b.packets.some(t, 1))
			}
			return b.breaker.State() == breaker.Closed
		})
		closed := time.Now()
		for _, step := range []struct{ done, weight float64 }{{0, .1}, {.05, .1}, {.25, .25}, {.5, .5}, {.9, .9}, {1, 1}, {2, 1}} {
			time.Sleep(time.Until(closed.Add(time.Duration(step.done * float64(config.SlowStart)))))
			got, want := b.Weight(time.Now()), step.weight*config.Weight
			if math.Abs(got-want) > 0.01*config.Weight {
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
		analyzer := newScripted(always(ok))
		analyzer.health = down
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.health = lines })
		b.settler.until(t, "it is tried", b.Healthy)
		for i := range trials {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, i+1)
		}
		if got := b.Weight(time.Now()); b.breaker.State() != breaker.Closed || got != config.Weight {
			t.Errorf("it is %v with the weight %v", b.breaker.State(), got)
		}
	})
}

// An analyzer that takes long over each packet gets smaller batches, and never
// one that it cannot handle in time.
func TestSlowAnalyzerIsNotOverwhelmed(t *testing.T) {
	for _, perPacket := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond} {
		t.Run(perPacket.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.Concurrency = 8
				var largest atomic.Int64
				analyzer := newScripted(func(r seen) reply {
					packets := max(1, strings.Count(r.body, "\n"))
					for now := largest.Load(); int64(packets) > now && !largest.CompareAndSwap(now, int64(packets)); now = largest.Load() {
					}
					slow := ok
					slow.delay = time.Duration(packets) * perPacket
					return slow
				})
				analyzer.health = lines
				b := start(t, config, analyzer.dial)
				offered, until := 0, time.Now().Add(5*time.Second)
				for time.Now().Before(until) {
					if room, _ := b.Capacity(time.Now()); room > 0 {
						b.Offer(b.packets.some(t, min(room, 200)))
						offered += min(room, 200)
					}
					time.Sleep(TickInterval)
					b.Tick()
				}
				b.settler.await(t, offered)
				if got := b.failures(reasonTimeout); got > 0 || !b.Healthy() {
					t.Errorf("%v requests timed out", got)
				}
				if most := int64(config.Timeout / perPacket); largest.Load() > most {
					t.Errorf("a batch of %d packets, and at most %d can be handled in time", largest.Load(), most)
				}
				if delivered, least := b.settler.count("delivered"), int(2*time.Second/perPacket); delivered < least {
					t.Errorf("%d packets delivered, want %d at least", delivered, least)
				}
				b.settler.wantOnce(t, offered)
			})
		})
	}
}

// Probes use a connection of their own, and say nothing about lines when they
// fail.
func TestProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.ProbeInterval = 100 * time.Millisecond
		analyzer := newScripted(always(ok))
		analyzer.health = lines
		b := start(t, config, analyzer.dial)
		time.Sleep(time.Second)
		if got := analyzer.probed(); got < 9 || got > 12 {
			t.Errorf("%d probes in a second at intervals of 100ms", got)
		}
		if analyzer.dialled() != analyzer.probed() {
			t.Errorf("%d connections for %d probes", analyzer.dialled(), analyzer.probed())
		}
		if !b.incarnation.takesLines() {
			t.Error("the advertised NDJSON is not known")
		}
	})
}
