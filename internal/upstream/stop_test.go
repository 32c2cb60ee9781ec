package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A stop returns what waits and what is under way at once, and holds nothing
// of that against the analyzer.
func TestStopReturnsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency, config.MaxFailures = 4, 1
		b := start(t, config, newScripted(always(reply{hang: true})).dial)
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
			t.Errorf("fates: %v", b.settler.summary())
		}
		if !b.Healthy() || b.failures(reasonReset) != 0 || b.failures(reasonTimeout) != 0 {
			t.Error("our hanging up is held against the analyzer")
		}
		b.Offer(b.packets.some(t, 1))
		if b.settler.fate(21) != "returned" {
			t.Error("a packet that came after the stop is lost")
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, testConfig(), newScripted(always(ok)).dial)
		b.Stop()
		b.Stop()
	})
}

// Whatever the analyzer does, and whenever it is stopped, each packet ends
// exactly once, and the books end at 0.
func TestEveryPacketEndsOnce(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { live(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

// live leads the random life of an upstream and its analyzer.
func live(t *testing.T, random *rand.Rand) {
	config := testConfig()
	config.Concurrency = 1 + random.IntN(8)
	config.Retries = random.IntN(3)
	config.MaxFailures = 1 + random.IntN(20)
	config.ProbeInterval = time.Duration(1+random.IntN(2000)) * time.Millisecond
	moods := make(chan reply, 1)
	analyzer := newScripted(func(r seen) reply {
		mood := <-moods
		moods <- mood
		if mood.parts == nil {
			return mood
		}
		// Some lines are refused, by what they are.
		if r.contentType == ndjsonType && strings.HasSuffix(strings.SplitN(r.body, `","messages"`, 2)[0], "3") {
			mood.parts = status(207, "", `{"refused":[{"line":1,"code":"overloaded"},{"line":2,"code":"malformed"}]}`).parts
		}
		return mood
	})
	analyzer.health = lines
	choices := []reply{
		ok, ok, ok, status(500, "", ""), status(400, "", ""), status(413, "", ""), status(415, "", ""),
		status(429, "", ""), status(503, "Retry-After: 1\r\n", ""), {hang: true}, {cut: true},
		{parts: ok.parts, delay: 50 * time.Millisecond}, {parts: ok.parts, delay: time.Second}, {parts: ok.parts, cut: true},
	}
	moods <- ok
	b := start(t, config, analyzer.dial)
	offered := 0
	for range 300 {
		switch random.IntN(4) {
		case 0:
			<-moods
			moods <- choices[random.IntN(len(choices))]
		case 1:
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			b.Tick()
		default:
			room, _ := b.Capacity(time.Now())
			if room == 0 && random.IntN(10) > 0 {
				continue
			}
			n := 1 + random.IntN(min(room, 100)+1)
			b.Offer(b.packets.some(t, n))
			offered += n
		}
		if queued, inFlight := b.Volumes(); queued.Packets < 0 || inFlight.Packets < 0 || queued.Messages < 0 || inFlight.Bytes < 0 {
			t.Fatalf("the books are %v and %v", queued, inFlight)
		}
	}
	b.Stop()
	b.settler.wantOnce(t, offered)
	if queued, inFlight := b.Volumes(); queued.Packets != 0 || inFlight.Packets != 0 || queued.Bytes != 0 || inFlight.Bytes != 0 {
		t.Fatalf("after the stop the books are %v and %v", queued, inFlight)
	}
	time.Sleep(5 * time.Second) // the analyzer's goroutines end
}
