package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Stop returns all waiting and in-flight packets at once, without failures of the analyzer.
func TestStopReturnsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency, config.MaxFailures = 4, 1
		b := start(t, config, newFakeAnalyzer(always(reply{hang: true})).dial)
		b.Offer(b.packets.some(t, 20))
		synctest.Wait()
		if _, inFlight := b.Volumes(); inFlight.Packets != 4 {
			t.Fatalf("%d packets are in flight, want 4", inFlight.Packets)
		}
		began := time.Now()
		b.Stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		b.settler.wantOnce(t, 20)
		if b.settler.count("returned") != 20 {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
		if !b.Healthy() || b.failures(reasonReset) != 0 || b.failures(reasonTimeout) != 0 {
			t.Error("Stop counts as a failure of the analyzer")
		}
		b.Offer(b.packets.some(t, 1))
		if b.settler.outcomeOf(21) != "returned" {
			t.Error("a packet that is offered after Stop is lost")
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, testConfig(), newFakeAnalyzer(always(ok)).dial)
		b.Stop()
		b.Stop()
	})
}

// Whatever the analyzer does and whenever the Upstream is stopped, each packet is settled
// exactly once, and the volumes end at 0.
func TestEveryPacketIsSettledOnce(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { runRandomly(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

// runRandomly runs an Upstream and its analyzer with random events.
func runRandomly(t *testing.T, random *rand.Rand) {
	config := testConfig()
	config.Concurrency = 1 + random.IntN(8)
	config.Retries = random.IntN(3)
	config.MaxFailures = 1 + random.IntN(20)
	config.ProbeInterval = time.Duration(1+random.IntN(2000)) * time.Millisecond
	replies := make(chan reply, 1)
	analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
		current := <-replies
		replies <- current
		if current.parts == nil {
			return current
		}
		// Some batches are rejected in part, depending on their ids.
		if r.contentType == ndjsonType && strings.HasSuffix(strings.SplitN(r.body, `","messages"`, 2)[0], "3") {
			current.parts = status(207, "", `{"refused":[{"line":1,"code":"overloaded"},{"line":2,"code":"malformed"}]}`).parts
		}
		return current
	})
	analyzer.health = ndjsonHealth
	choices := []reply{
		ok, ok, ok, status(500, "", ""), status(400, "", ""), status(413, "", ""), status(415, "", ""),
		status(429, "", ""), status(503, "Retry-After: 1\r\n", ""), {hang: true}, {cut: true},
		{parts: ok.parts, delay: 50 * time.Millisecond}, {parts: ok.parts, delay: time.Second}, {parts: ok.parts, cut: true},
	}
	replies <- ok
	b := start(t, config, analyzer.dial)
	offered := 0
	for range 300 {
		switch random.IntN(4) {
		case 0:
			<-replies
			replies <- choices[random.IntN(len(choices))]
		case 1:
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			b.Tick()
		default:
			capacity, _ := b.Capacity(time.Now())
			if capacity == 0 && random.IntN(10) > 0 {
				continue
			}
			n := 1 + random.IntN(min(capacity, 100)+1)
			b.Offer(b.packets.some(t, n))
			offered += n
		}
		if queued, inFlight := b.Volumes(); queued.Packets < 0 || inFlight.Packets < 0 || queued.Messages < 0 || inFlight.Bytes < 0 {
			t.Fatalf("the volumes are %v and %v", queued, inFlight)
		}
	}
	b.Stop()
	b.settler.wantOnce(t, offered)
	if queued, inFlight := b.Volumes(); queued.Packets != 0 || inFlight.Packets != 0 || queued.Bytes != 0 || inFlight.Bytes != 0 {
		t.Fatalf("after Stop the volumes are %v and %v", queued, inFlight)
	}
	time.Sleep(5 * time.Second) // the goroutines of the analyzer end
}
