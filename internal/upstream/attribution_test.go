package upstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// poison is a packet for which the fake analyzers of this file fail.
const poison = `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"poison"}]}`

func failingWithPoison(r request) reply {
	if r.contains("poison") {
		return failing
	}
	return ok
}

// startBatching starts an Upstream with batches of up to 16 packets.
func startBatching(t *testing.T, config Config, ingest func(request) reply) (*fixture, *fakeSink) {
	t.Helper()
	analyzer := newFakeSink(t, ingest)
	analyzer.health = batching
	b := start(t, config, analyzer)
	b.batch.packets.Store(16)
	return b, analyzer
}

// A failed batch is bisected, so that a poison packet costs the others little.
func TestFailedBatchIsBisected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, analyzer := startBatching(t, testConfig(), failingWithPoison)
		b.Offer(append(b.packets.some(t, 5), append([]Delivery{b.packets.of(t, poison)}, b.packets.some(t, 2)...)...))
		b.settler.await(t, 8)
		if b.settler.outcomeOf(6) != "returned" || b.settler.count("delivered") != 7 {
			t.Errorf("outcomes: %v, of the poison packet %s", b.settler.summary(), b.settler.outcomeOf(6))
		}
		if got := len(analyzer.received()); got != 7 { // as for a rejected batch
			t.Errorf("%d requests, want 7", got)
		}
		if !b.Healthy() {
			t.Error("the analyzer is unhealthy")
		}
		if got := b.batch.packets.Load(); got != 16 {
			t.Errorf("the batch size is %d, want 16", got)
		}
	})
}

// A failure is recorded in the packets of the failed batch.
func TestFailuresAreRecorded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 1, 2
		b, _ := startBatching(t, config, failingWithPoison)
		began := time.Now()
		// The failure of the last four packets opens the breaker.
		b.Offer(append(b.packets.some(t, 7), b.packets.of(t, poison)))
		b.settler.await(t, 8)
		for sequence := uint64(1); sequence <= 8; sequence++ {
			trouble := b.settler.troubleOf(sequence)
			if sequence <= 4 {
				if trouble != nil || b.settler.outcomeOf(sequence) != "delivered" {
					t.Errorf("packet %d: %s, %+v", sequence, b.settler.outcomeOf(sequence), trouble)
				}
				continue
			}
			if trouble == nil || trouble.LastBatchSize != 4 || trouble.Attempts != 1 || trouble.IsolatedFailures != 0 || trouble.Cause != `answered 500 "no"` ||
				trouble.Since.Before(began) || trouble.Last != trouble.Since {
				t.Errorf("packet %d: %+v", sequence, trouble)
			}
		}
	})
}

// A repeated failure in a batch is not isolated: any of the packets may have caused it.
func TestFailureInBatchIsNotIsolated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries = 0
		b, _ := startBatching(t, config, failingWithPoison)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		packets := []Delivery{b.packets.packet(t), b.packets.of(t, poison)}
		for i := range packets {
			packets[i].Failures = &FailureHistory{Attempts: 1, LastBatchSize: 4, Last: time.Now().Add(-time.Minute)}
		}
		b.Offer(packets)
		b.settler.await(t, 3)
		for sequence := uint64(2); sequence <= 3; sequence++ {
			if got := b.settler.troubleOf(sequence); got.IsolatedFailures != 0 || got.LastBatchSize != 2 || got.Attempts != 2 {
				t.Errorf("packet %d: %+v", sequence, got)
			}
		}
	})
}

// A timeout shrinks the batch size, and those of the halves do not.
func TestTimeoutShrinksBatchOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 1, 100
		b, _ := startBatching(t, config, always(hanging))
		b.Offer(b.packets.some(t, 16))
		b.settler.await(t, 16)
		if got := b.batch.packets.Load(); got != 4 {
			t.Errorf("the batch size is %d, want 4", got)
		}
	})
}

// An attempt that is interrupted after a failure is recorded as failed.
func TestInterruptedAttemptIsRecorded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.MaxFailures = 1
		b, _ := startBatching(t, config, failingWithPoison)
		b.Offer([]Delivery{b.packets.packet(t), b.packets.of(t, poison)})
		b.settler.await(t, 2)
		if requests, tried := b.failures(sink.Status), b.settler.returnedTried(); requests != 1 || tried != 2 {
			t.Errorf("%v failed requests, %d packets are Tried", requests, tried)
		}
		for sequence := range uint64(2) {
			if trouble := b.settler.troubleOf(1 + sequence); trouble == nil || trouble.LastBatchSize != 2 || trouble.Attempts != 1 {
				t.Errorf("packet %d: %+v", 1+sequence, trouble)
			}
		}
	})
}

// After a failure a packet joins a batch of at most half the size, with equal bounds only.
func TestBatchSizeAfterFailure(t *testing.T) {
	for _, test := range []struct {
		failedSizes []int // sizes of the failed batches; 0: no failure
		want        string
	}{
		{[]int{0, 0, 1, 1, 0, 0}, "[2 1 1 2]"},
		{[]int{2, 2, 3, 3, 3}, "[1 1 1 1 1]"},
		{[]int{4, 7, 5, 6, 4}, "[2 2 1]"},
		{[]int{16, 17, 9, 0, 9, 8, 8, 8, 8, 8}, "[2 1 1 4 2]"},
	} {
		bubble(t, func(t *testing.T) {
			b, analyzer := startBatching(t, testConfig(), always(ok))
			packets := b.packets.some(t, len(test.failedSizes))
			for i, size := range test.failedSizes {
				if size > 0 {
					packets[i].Failures = &FailureHistory{LastBatchSize: size}
				}
			}
			b.Offer(packets)
			b.settler.await(t, len(packets))
			var sizes []int
			for _, r := range analyzer.received() {
				sizes = append(sizes, len(r.bodies))
			}
			if fmt.Sprint(sizes) != test.want {
				t.Errorf("packets that failed in batches of %v are sent in batches of %v, want %s", test.failedSizes, sizes, test.want)
			}
		})
	}
}

// Attribution of a failure, with a breaker that opens at the first one.
func TestAttribution(t *testing.T) {
	for _, test := range []struct {
		name    string
		trouble *FailureHistory
		refuses bool // connections
		healthy bool
	}{
		{"a new packet", nil, false, false},
		{"one that failed before", &FailureHistory{Attempts: 1, LastBatchSize: 1}, false, true},
		{"one that failed before, and cannot be sent", &FailureHistory{Attempts: 1, LastBatchSize: 1}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.MaxFailures = 1
				analyzer := newFakeSink(t, failingWithPoison)
				b := start(t, config, analyzer)
				analyzer.set(func(s *fakeSink) { s.gone = test.refuses })
				p := b.packets.of(t, poison)
				p.Failures = test.trouble
				b.Offer([]Delivery{p})
				b.settler.await(t, 1)
				if b.Healthy() != test.healthy {
					t.Errorf("healthy: %v", b.Healthy())
				}
				if got := b.failures(sink.Status) + b.failures(sink.Connect); got != 1 {
					t.Errorf("%v failed requests", got)
				}
			})
		})
	}
}

// crashCase is a request that crashes the analyzer, and the FailureHistory of its packets.
type crashCase struct {
	name        string
	maxFailures int
	packets     int // in one request
	trouble     *FailureHistory
	want        FailureHistory
	interrupted bool // the breaker opens during the dial
}

// A packet that crashes the analyzer is sent over a reused connection; the retry cannot
// connect. The attempt is recorded in the packet, and the failed connect counts against the
// analyzer.
func TestPacketCrashesAnalyzer(t *testing.T) {
	for _, test := range []crashCase{
		{"a new packet", 5, 1, nil, FailureHistory{Attempts: 1, LastBatchSize: 1}, false},
		{"a batch", 5, 4, nil, FailureHistory{Attempts: 1, LastBatchSize: 4}, false},
		{"one that did so before", 5, 1, &FailureHistory{Attempts: 1, LastBatchSize: 1}, FailureHistory{Attempts: 2, LastBatchSize: 1, IsolatedFailures: 1}, false},
		{"one whose failure alone opens the breaker", 1, 1, &FailureHistory{Attempts: 1, LastBatchSize: 1}, FailureHistory{Attempts: 2, LastBatchSize: 1, IsolatedFailures: 1}, false},
		{"among others", 5, 1, nil, FailureHistory{Attempts: 1, LastBatchSize: 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := startCrashing(t, test)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				var packets []Delivery
				for range test.packets {
					p := b.packets.of(t, poison)
					p.Failures = test.trouble
					packets = append(packets, p)
				}
				b.Offer(packets)
				b.settler.await(t, 1+test.packets)
				if b.settler.count("returned") != test.packets || b.settler.returnedTried() != test.packets {
					t.Errorf("%v, %d are Tried", b.settler.summary(), b.settler.returnedTried())
				}
				got := b.settler.troubleOf(2)
				if got == nil {
					t.Fatal("no failure is recorded")
				}
				if got.Attempts != test.want.Attempts || got.LastBatchSize != test.want.LastBatchSize || got.IsolatedFailures != test.want.IsolatedFailures ||
					got.Cause != "the reused connection was closed: EOF" {
					t.Errorf("recorded %+v, want %+v", got, test.want)
				}
				if got := b.failures(sink.Connect); got != metric.Bool(!test.interrupted) || b.Healthy() != (test.maxFailures > 1 && !test.interrupted) {
					t.Errorf("%v failures to connect, healthy: %v", got, b.Healthy())
				}
			})
		})
	}
}

// startCrashing starts an Upstream whose analyzer crashes on a poison packet: the reused
// connection is closed, and the retry cannot connect.
func startCrashing(t *testing.T, test crashCase) (b *fixture) {
	t.Helper()
	config := testConfig()
	config.MaxFailures = test.maxFailures
	analyzer := newFakeSink(t, func(r request) reply {
		if !r.contains("poison") {
			return ok
		}
		lost := sink.Result{Outcome: sink.Failed, Reason: sink.Connect, Detail: "connect: refused", Unsent: true}
		if test.interrupted {
			b.onTransition(b.breaker.Trip(time.Now()), "test")
			lost = sink.Result{Outcome: sink.Aborted}
		}
		lost.Lost = "the reused connection was closed: EOF"
		return reply{result: lost}
	})
	analyzer.health = batching
	b = start(t, config, analyzer)
	b.batch.packets.Store(16)
	return b
}

// startHalfOpen returns a half-open analyzer after one failed packet.
func startHalfOpen(t *testing.T) *fixture {
	t.Helper()
	config := testConfig()
	config.MaxFailures, config.Retries = 1, 0
	b := start(t, config, newFakeSink(t, failingWithPoison))
	b.Offer([]Delivery{b.packets.of(t, poison)})
	b.settler.await(t, 1)
	b.settler.until(t, "it is half-open", func() bool { return b.breaker.State() == breaker.HalfOpen })
	return b
}

// While half-open, failures of packets that failed before do not count, deliveries do.
func TestHalfOpenIgnoresFailuresOfSuspects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := startHalfOpen(t)
		for i, format := range []string{poison, "", poison, "", poison, ""} {
			p := b.packets.packet(t)
			if format != "" {
				p = b.packets.of(t, format)
			}
			p.Failures = &FailureHistory{Attempts: 1, LastBatchSize: 1}
			b.Offer([]Delivery{p})
			b.settler.await(t, 2+i)
		}
		if b.breaker.State() != breaker.Closed {
			t.Errorf("after three of six packets that failed before were delivered it is %v", b.breaker.State())
		}
	})
}

// The failures of one packet are not enough to open the breaker.
func TestOnePacketDoesNotOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 20, maxReportedFailures+1
		b := start(t, config, newFakeSink(t, failingWithPoison))
		b.Offer([]Delivery{b.packets.of(t, poison)})
		b.settler.await(t, 1)
		if got := b.failures(sink.Status); got != 21 || !b.Healthy() {
			t.Errorf("%v failed requests, healthy: %v", got, b.Healthy())
		}
		b.Offer([]Delivery{b.packets.of(t, poison)})
		b.settler.await(t, 2)
		if b.Healthy() {
			t.Error("two packets do not open the breaker")
		}
	})
}

// A failure while half-open is not isolated: the analyzer may not have recovered.
func TestHalfOpenFailureIsNotIsolated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := startHalfOpen(t)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 2)
		p := b.packets.of(t, poison)
		p.Failures = &FailureHistory{Attempts: 1, LastBatchSize: 1, Last: time.Now().Add(-time.Minute)}
		b.Offer([]Delivery{p})
		b.settler.await(t, 3)
		if got := b.settler.troubleOf(3); got.IsolatedFailures != 0 || got.Attempts != 2 || b.breaker.State() != breaker.HalfOpen {
			t.Errorf("recorded while %v: %+v", b.breaker.State(), got)
		}
	})
}

// A packet that failed often and for long becomes a dead letter, but only for failures at
// analyzers that accepted others since the failure before.
func TestFailingPacketBecomesDeadLetter(t *testing.T) {
	for name, test := range map[string]struct {
		isolated int
		since    time.Duration
		others   bool // are delivered before the last request
		want     string
	}{
		"keeps failing":           {minIsolatedFailures - 1, minFailureDuration, true, "rejected keeps_failing"},
		"not for long":            {minIsolatedFailures - 1, minFailureDuration - time.Minute, true, "returned"},
		"not often":               {minIsolatedFailures - 2, minFailureDuration, true, "returned"},
		"while no analyzer works": {minIsolatedFailures - 1, minFailureDuration, false, "returned"},
		"a second dead letter":    {minIsolatedFailures + 7, 2 * minFailureDuration, true, "rejected keeps_failing"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := start(t, testConfig(), newFakeSink(t, failingWithPoison))
				p := b.packets.of(t, poison)
				p.Failures = &FailureHistory{Attempts: 20, IsolatedFailures: test.isolated, LastBatchSize: 1, Since: time.Now().Add(-test.since), Last: time.Now().Add(-time.Minute)}
				if test.others {
					b.Offer(b.packets.some(t, 1))
					b.settler.await(t, 1)
				}
				b.Offer([]Delivery{p})
				b.settler.until(t, "it is settled", func() bool { return b.settler.outcomeOf(1) != "" })
				if got := b.settler.outcomeOf(1); got != test.want {
					t.Errorf("the packet was %s, want %s", got, test.want)
				}
				if got := b.settler.troubleOf(1); test.want == "returned" && (!got.Last.Equal(time.Now()) || got.Attempts != 21) {
					t.Errorf("recorded %+v", got)
				}
			})
		})
	}
}
