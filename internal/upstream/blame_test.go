package upstream

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// poison is a packet's text that the scripted analyzers of this file fail with.
const poison = `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"poison"}]}`

func failingWithPoison(r seen) reply {
	if strings.Contains(r.body, "poison") {
		return status(500, "", "no")
	}
	return ok
}

// startBatching starts an upstream that gives an analyzer up to 16 packets at once.
func startBatching(t *testing.T, config Config, ingest func(seen) reply) (*bench, *scripted) {
	t.Helper()
	analyzer := newScripted(ingest)
	analyzer.health = lines
	b := start(t, config, analyzer.dial)
	b.batch.packets.Store(16)
	return b, analyzer
}

// A batch that fails is tried in halves, so that one packet costs the others of
// its batch little.
func TestFailedBatchIsSentInHalves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, analyzer := startBatching(t, testConfig(), failingWithPoison)
		b.Offer(append(b.packets.some(t, 5), append([]*packet.Packet{b.packets.of(t, poison)}, b.packets.some(t, 2)...)...))
		b.settler.await(t, 8)
		if b.settler.fate(6) != "returned" || b.settler.count("delivered") != 7 {
			t.Errorf("fates: %v, of the poison %s", b.settler.summary(), b.settler.fate(6))
		}
		if got := len(analyzer.got()); got != 7 { // as when a batch is refused
			t.Errorf("%d requests, want 7", got)
		}
		if !b.Healthy() {
			t.Error("the analyzer is thought unhealthy")
		}
		if got := b.batch.packets.Load(); got != 16 {
			t.Errorf("a batch may carry %d packets now", got)
		}
	})
}

// What a failure tells of the packets that were in it.
func TestFailuresAreRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 1, 2
		b, _ := startBatching(t, config, failingWithPoison)
		began := time.Now()
		// The second failure, of the last four, opens the breaker.
		b.Offer(append(b.packets.some(t, 7), b.packets.of(t, poison)))
		b.settler.await(t, 8)
		for sequence := uint64(1); sequence <= 8; sequence++ {
			trouble := b.settler.troubleOf(sequence)
			if sequence <= 4 {
				if trouble != nil || b.settler.fate(sequence) != "delivered" {
					t.Errorf("packet %d: %s, %+v", sequence, b.settler.fate(sequence), trouble)
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

// Packets that failed, and fail again in company, get no strike: one of them may do
// it to the others.
func TestNoStrikesInCompany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries = 0
		b, _ := startBatching(t, config, failingWithPoison)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		packets := []*packet.Packet{b.packets.packet(t), b.packets.of(t, poison)}
		for _, p := range packets {
			p.Failures = &packet.FailureHistory{Attempts: 1, LastBatchSize: 4, Last: time.Now().Add(-time.Minute)}
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

// A batch that was not answered in time was too large, and its halves tell no more.
func TestTimeoutsShrinkBatchesOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 1, 100
		b, _ := startBatching(t, config, always(reply{hang: true}))
		b.Offer(b.packets.some(t, 16))
		b.settler.await(t, 16)
		if got := b.batch.packets.Load(); got != 4 {
			t.Errorf("a batch may carry %d packets now, want 4", got)
		}
	})
}

// A visit that is broken off after a failure has failed.
func TestBrokenOffVisitIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.MaxFailures = 1
		b, _ := startBatching(t, config, failingWithPoison)
		b.Offer([]*packet.Packet{b.packets.packet(t), b.packets.of(t, poison)})
		b.settler.await(t, 2)
		if tries, tried := b.failures(reasonStatus), b.settler.seen(); tries != 1 || tried != 2 {
			t.Errorf("%v tries, %d packets count as tried", tries, tried)
		}
		for sequence := range uint64(2) {
			if trouble := b.settler.troubleOf(1 + sequence); trouble == nil || trouble.LastBatchSize != 2 || trouble.Attempts != 1 {
				t.Errorf("packet %d: %+v", 1+sequence, trouble)
			}
		}
	})
}

// After a failure packets have half the company that they had, of their like.
func TestCompany(t *testing.T) {
	for _, test := range []struct {
		companies []int // that the packets failed in; 0: did not fail
		want      string
	}{
		{[]int{0, 0, 1, 1, 0, 0}, "[2 1 1 2]"},
		{[]int{2, 2, 3, 3, 3}, "[1 1 1 1 1]"},
		{[]int{4, 7, 5, 6, 4}, "[2 2 1]"},
		{[]int{16, 17, 9, 0, 9, 8, 8, 8, 8, 8}, "[2 1 1 4 2]"},
	} {
		bubble(t, func(t *testing.T) {
			b, analyzer := startBatching(t, testConfig(), always(ok))
			packets := b.packets.some(t, len(test.companies))
			for i, company := range test.companies {
				if company > 0 {
					packets[i].Failures = &packet.FailureHistory{LastBatchSize: company}
				}
			}
			b.Offer(packets)
			b.settler.await(t, len(packets))
			var sizes []int
			for _, r := range analyzer.got() {
				sizes = append(sizes, strings.Count(r.body, "packet_id"))
			}
			if fmt.Sprint(sizes) != test.want {
				t.Errorf("packets that failed in companies of %v travel in requests of %v, want %s", test.companies, sizes, test.want)
			}
		})
	}
}

// Who is to blame for a failure: with a breaker that opens at the first one.
func TestBlame(t *testing.T) {
	for _, test := range []struct {
		name    string
		trouble *packet.FailureHistory
		refuses bool // connections
		healthy bool
	}{
		{"a new packet", nil, false, false},
		{"one that failed before", &packet.FailureHistory{Attempts: 1, LastBatchSize: 1}, false, true},
		{"one that failed before, and cannot be sent", &packet.FailureHistory{Attempts: 1, LastBatchSize: 1}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.MaxFailures = 1
				analyzer := newScripted(failingWithPoison)
				b := start(t, config, analyzer.dial)
				analyzer.set(func(s *scripted) { s.refuses = test.refuses })
				p := b.packets.of(t, poison)
				p.Failures = test.trouble
				b.Offer([]*packet.Packet{p})
				b.settler.await(t, 1)
				if b.Healthy() != test.healthy {
					t.Errorf("healthy: %v", b.Healthy())
				}
				if got := b.failures(reasonStatus) + b.failures(reasonConnect); got != 1 {
					t.Errorf("%v tries", got)
				}
			})
		})
	}
}

// A packet that kills the analyzer comes over a kept connection; when it is to be sent
// again nobody listens. It counts as tried all the same, while being away is the
// analyzer's failure.
func TestKilledByAPacket(t *testing.T) {
	for _, test := range []struct {
		name        string
		maxFailures int
		packets     int // in one request
		trouble     *packet.FailureHistory
		want        packet.FailureHistory
		interrupted bool // others find the analyzer unhealthy while it dials
	}{
		{"a new packet", 5, 1, nil, packet.FailureHistory{Attempts: 1, LastBatchSize: 1}, false},
		{"a batch", 5, 4, nil, packet.FailureHistory{Attempts: 1, LastBatchSize: 4}, false},
		{"one that did so before", 5, 1, &packet.FailureHistory{Attempts: 1, LastBatchSize: 1}, packet.FailureHistory{Attempts: 2, LastBatchSize: 1, IsolatedFailures: 1}, false},
		{"one whose failure alone opens the breaker", 1, 1, &packet.FailureHistory{Attempts: 1, LastBatchSize: 1}, packet.FailureHistory{Attempts: 2, LastBatchSize: 1, IsolatedFailures: 1}, false},
		{"among others", 5, 1, nil, packet.FailureHistory{Attempts: 1, LastBatchSize: 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.MaxFailures = test.maxFailures
				analyzer := newScripted(nil)
				analyzer.health = lines
				analyzer.ingest = func(r seen) reply {
					if !strings.Contains(r.body, "poison") {
						return ok
					}
					analyzer.set(func(s *scripted) { s.refuses = true })
					return reply{cut: true}
				}
				var b *bench
				b = start(t, config, func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := analyzer.dial(ctx, network, address)
					if err != nil && test.interrupted {
						b.note(b.breaker.Trip(time.Now()))("others fail")
					}
					return conn, err
				})
				b.batch.packets.Store(16)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				var packets []*packet.Packet
				for range test.packets {
					p := b.packets.of(t, poison)
					p.Failures = test.trouble
					packets = append(packets, p)
				}
				b.Offer(packets)
				b.settler.await(t, 1+test.packets)
				if b.settler.count("returned") != test.packets || b.settler.seen() != test.packets {
					t.Errorf("%v, %d count as tried", b.settler.summary(), b.settler.seen())
				}
				got := b.settler.troubleOf(2)
				if got == nil {
					t.Fatal("nothing is known of the packet")
				}
				if got.Attempts != test.want.Attempts || got.LastBatchSize != test.want.LastBatchSize || got.IsolatedFailures != test.want.IsolatedFailures ||
					got.Cause != "the kept connection was closed: EOF" {
					t.Errorf("of the packet is known %+v, want %+v", got, test.want)
				}
				if got := b.failures(reasonConnect); got != truth(!test.interrupted) || b.Healthy() != (test.maxFailures > 1 && !test.interrupted) {
					t.Errorf("%v failures to connect, healthy: %v", got, b.Healthy())
				}
			})
		})
	}
}

// startTrial returns an analyzer that has failed with one packet and is on trial.
func startTrial(t *testing.T) *bench {
	t.Helper()
	config := testConfig()
	config.MaxFailures, config.Retries = 1, 0
	b := start(t, config, newScripted(failingWithPoison).dial)
	b.Offer([]*packet.Packet{b.packets.of(t, poison)})
	b.settler.await(t, 1)
	b.settler.until(t, "it is on trial", func() bool { return b.breaker.State() == breaker.HalfOpen })
	return b
}

// On trial an analyzer is judged by new packets, or by any that it takes.
func TestTrialsAreNotForSuspects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := startTrial(t)
		for i, format := range []string{poison, "", poison, "", poison, ""} {
			p := b.packets.packet(t)
			if format != "" {
				p = b.packets.of(t, format)
			}
			p.Failures = &packet.FailureHistory{Attempts: 1, LastBatchSize: 1}
			b.Offer([]*packet.Packet{p})
			b.settler.await(t, 2+i)
		}
		if b.breaker.State() != breaker.Closed {
			t.Errorf("after three of six packets that failed before were taken it is %v", b.breaker.State())
		}
	})
}

// One packet's tries are not evidence enough to open a breaker.
func TestOnePacketMakesNobodyUnhealthy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 20, mostFailuresTold+1
		b := start(t, config, newScripted(failingWithPoison).dial)
		b.Offer([]*packet.Packet{b.packets.of(t, poison)})
		b.settler.await(t, 1)
		if got := b.failures(reasonStatus); got != 21 || !b.Healthy() {
			t.Errorf("%v tries, healthy: %v", got, b.Healthy())
		}
		b.Offer([]*packet.Packet{b.packets.of(t, poison)})
		b.settler.await(t, 2)
		if b.Healthy() {
			t.Error("two packets are not enough either")
		}
	})
}

// A failure on trial is no strike: the analyzer may be sick yet.
func TestNoStrikesOnTrial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := startTrial(t)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 2)
		p := b.packets.of(t, poison)
		p.Failures = &packet.FailureHistory{Attempts: 1, LastBatchSize: 1, Last: time.Now().Add(-time.Minute)}
		b.Offer([]*packet.Packet{p})
		b.settler.await(t, 3)
		if got := b.settler.troubleOf(3); got.IsolatedFailures != 0 || got.Attempts != 2 || b.breaker.State() != breaker.HalfOpen {
			t.Errorf("on trial (it is %v) the packet got %+v", b.breaker.State(), got)
		}
	})
}

// A packet that failed often and for long becomes a dead letter, but only for
// failures at analyzers that had taken others since: while all are sick, it waits.
func TestHopelessPacketBecomesADeadLetter(t *testing.T) {
	for name, test := range map[string]struct {
		strikes int
		since   time.Duration
		others  bool // are taken before the last try
		want    string
	}{
		"hopeless":             {mostStrikes - 1, longestTrouble, true, "refused keeps_failing"},
		"not for long":         {mostStrikes - 1, longestTrouble - time.Minute, true, "returned"},
		"not often":            {mostStrikes - 2, longestTrouble, true, "returned"},
		"while all are sick":   {mostStrikes - 1, longestTrouble, false, "returned"},
		"a second dead letter": {mostStrikes + 7, 2 * longestTrouble, true, "refused keeps_failing"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := start(t, testConfig(), newScripted(failingWithPoison).dial)
				p := b.packets.of(t, poison)
				p.Failures = &packet.FailureHistory{Attempts: 20, IsolatedFailures: test.strikes, LastBatchSize: 1, Since: time.Now().Add(-test.since), Last: time.Now().Add(-time.Minute)}
				if test.others {
					b.Offer(b.packets.some(t, 1))
					b.settler.await(t, 1)
				}
				b.Offer([]*packet.Packet{p})
				b.settler.until(t, "it ends", func() bool { return b.settler.fate(1) != "" })
				if got := b.settler.fate(1); got != test.want {
					t.Errorf("the packet was %s, want %s", got, test.want)
				}
				if got := b.settler.troubleOf(1); test.want == "returned" && (!got.Last.Equal(time.Now()) || got.Attempts != 21) {
					t.Errorf("of the packet is known %+v", got)
				}
			})
		})
	}
}
