package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"logstreamer/internal/breaker"
	"logstreamer/internal/packet"
)

// poison is a packet's text that the scripted analyzers of this file fail with.
const poison = `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"poison"}]}`

func failingWithPoison(r seen) reply {
	if strings.Contains(r.body, "poison") {
		return status(500, "", "no")
	}
	return ok
}

// A batch that fails is tried in halves, so that one packet costs the others of
// its batch little.
func TestFailedBatchIsSentInHalves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(failingWithPoison)
		analyzer.health = lines
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(16)
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
	})
}

// What is left of a failed batch is suspect as a whole, and nobody of it is set back.
func TestUndividedBatchIsSuspect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries = 1
		analyzer := newScripted(failingWithPoison)
		analyzer.health = lines
		b := start(t, config, analyzer.dial)
		b.batch.packets.Store(16)
		b.Offer(append(b.packets.some(t, 4), append(b.packets.some(t, 3), b.packets.of(t, poison))...))
		b.settler.await(t, 8)
		for sequence := uint64(1); sequence <= 8; sequence++ {
			trouble := b.settler.troubleOf(sequence)
			if suspect := trouble != nil; suspect != (sequence > 4) {
				t.Errorf("packet %d: %+v", sequence, trouble)
			}
			if trouble != nil && (trouble.Setbacks != 0 || trouble.Cause != `answered 500 "no"`) {
				t.Errorf("packet %d: %+v", sequence, trouble)
			}
		}
	})
}

// A packet that may be what makes requests fail has no company.
func TestSuspectsTravelAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(always(ok))
		analyzer.health = lines
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		packets := b.packets.some(t, 6)
		packets[2].Trouble = &packet.Trouble{}
		packets[3].Trouble = &packet.Trouble{}
		b.Offer(packets)
		b.settler.await(t, 6)
		var sizes []int
		for _, r := range analyzer.got() {
			sizes = append(sizes, strings.Count(r.body, "packet_id"))
		}
		if fmt.Sprint(sizes) != "[2 1 1 2]" {
			t.Errorf("requests of %v packets", sizes)
		}
	})
}

// Who is to blame for a failure: with a breaker that opens at the first one.
func TestBlame(t *testing.T) {
	for _, test := range []struct {
		name     string
		trouble  *packet.Trouble
		before   bool // the analyzer takes another packet first
		healthy  bool // the failure is not held against it
		setbacks int
	}{
		{"a new packet", nil, true, false, 0},
		{"one that failed elsewhere, and others went well", &packet.Trouble{}, true, true, 1},
		{"one that failed elsewhere, and nothing is known of others", &packet.Trouble{}, false, true, 1},
		{"one that was to blame before", &packet.Trouble{Setbacks: 3}, true, true, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.MaxFailures = 1
				b := start(t, config, newScripted(failingWithPoison).dial)
				if test.before {
					b.Offer(b.packets.some(t, 1))
					b.settler.await(t, 1)
				}
				p := b.packets.of(t, poison)
				p.Trouble = test.trouble
				sequence := p.Sequence
				b.Offer([]*packet.Packet{p})
				b.settler.await(t, int(sequence))
				if b.Healthy() != test.healthy {
					t.Errorf("healthy: %v", b.Healthy())
				}
				if got := b.settler.troubleOf(sequence); got != nil && got.Setbacks != test.setbacks || got == nil && test.setbacks > 0 {
					t.Errorf("of the packet is known: %+v", got)
				}
				if got := b.failures(reasonStatus); got != 1 {
					t.Errorf("%v tries", got)
				}
			})
		})
	}
}

func TestBlames(t *testing.T) {
	for _, test := range []struct {
		name              string
		trouble           *packet.Trouble
		failures          int
		working, packetIs bool
	}{
		{"a first try", nil, 0, true, false},
		{"another try, and others went well meanwhile", nil, 1, true, true},
		{"another try, and nothing went well", nil, 1, false, false},
		{"failed elsewhere, others go well", &packet.Trouble{}, 0, true, true},
		{"failed elsewhere, nothing goes well", &packet.Trouble{}, 0, false, false},
		{"to blame before, nothing goes well", &packet.Trouble{Setbacks: 1}, 0, false, true},
	} {
		var u Upstream
		u.working.Store(test.working)
		if got := u.blames([]*packet.Packet{{Trouble: test.trouble}}, test.failures); got != test.packetIs {
			t.Errorf("%s: the packet is to blame: %v", test.name, got)
		}
	}
}

// Who cannot be reached is to blame for that, whatever is sent.
func TestUnreachableAnalyzerIsToBlame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.MaxFailures = 1
		analyzer := newScripted(always(ok))
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.refuses = true })
		packets := b.packets.some(t, 1)
		packets[0].Trouble = &packet.Trouble{Setbacks: 1}
		b.Offer(packets)
		b.settler.await(t, 1)
		if b.Healthy() {
			t.Error("it is thought healthy")
		}
		if got := b.settler.troubleOf(1).Setbacks; got != 1 {
			t.Errorf("%d setbacks", got)
		}
	})
}

// A packet counts as tried although its last try was not made.
func TestHeldBackAfterATryIsTried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.MaxFailures = 1
		b := start(t, config, newScripted(failingWithPoison).dial)
		b.Offer([]*packet.Packet{b.packets.of(t, poison)})
		b.settler.await(t, 1)
		if tries, tried := b.failures(reasonStatus), b.settler.seen(); tries != 1 || tried != 1 {
			t.Errorf("%v tries, %d packets count as tried", tries, tried)
		}
	})
}

// An analyzer that fails with everything is found out, even if all packets that
// it gets have failed before, elsewhere.
func TestSickAnalyzerIsFoundOutBySuspects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries = 0
		b := start(t, config, newScripted(always(status(500, "", ""))).dial)
		packets := b.packets.some(t, 6)
		for _, p := range packets[1:] {
			p.Trouble = &packet.Trouble{}
		}
		b.Offer(packets)
		b.settler.await(t, 6)
		if b.Healthy() {
			t.Error("it is thought healthy")
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

// What part of the tries fails is seen as it is, although repeats that fail are
// blamed on packets.
func TestRatioOfAnUnreliableAnalyzer(t *testing.T) {
	for _, test := range []struct {
		failing float64
		open    bool
	}{{0.35, false}, {0.65, true}} {
		bubble(t, func(t *testing.T) {
			config := testConfig()
			config.MaxFailures = 1000
			b := start(t, config, newScripted(always(ok)).dial)
			random := rand.New(rand.NewPCG(1, 2))
			batch := b.packets.some(t, 1)
			var senders [8]int // how often each has failed with its packet
			for range 100 {
				for i, failures := range senders {
					a := answer{outcome: taken}
					if random.Float64() < test.failing {
						a.outcome = failed
						a.packetsFault = b.blames(batch, failures)
					}
					b.judge(a, batch, failures, time.Now())
					if senders[i] = failures + 1; a.outcome == taken || failures == config.Retries {
						senders[i] = 0
					}
				}
			}
			if open := b.breaker.State() == breaker.Open; open != test.open {
				t.Errorf("with %.0f %% that fail it is %v", 100*test.failing, b.breaker.State())
			}
		})
	}
}

// A packet that failed often enough becomes a dead letter, but only at an analyzer
// that has taken others since it failed last: while all are sick, it waits.
func TestHopelessPacketBecomesADeadLetter(t *testing.T) {
	for _, taken := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			b := start(t, testConfig(), newScripted(failingWithPoison).dial)
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, 1)
			time.Sleep(time.Second)
			p := b.packets.of(t, poison)
			p.Trouble = &packet.Trouble{Setbacks: mostSetbacks - 1, Last: time.Now()}
			want := "returned"
			if taken {
				p.Trouble.Last = time.Now().Add(-2 * time.Second)
				want = "refused keeps_failing"
			}
			b.Offer([]*packet.Packet{p})
			b.settler.await(t, 2)
			if got := b.settler.fate(2); got != want {
				t.Errorf("the packet was %s, want %s", got, want)
			}
		})
	}
}
