package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// Stop returns all waiting and in-flight packets at once, without failures of the analyzer.
func TestStopReturnsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency, config.MaxFailures = 4, 1
		b := start(t, config, newFakeSink(t, always(hanging)))
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
		if !b.Healthy() || b.failures(sink.Reset) != 0 || b.failures(sink.Timeout) != 0 {
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
		b := start(t, testConfig(), newFakeSink(t, always(ok)))
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
	t.Helper()
	config := testConfig()
	config.Concurrency = 1 + random.IntN(8)
	config.Retries = random.IntN(3)
	config.MaxFailures = 1 + random.IntN(20)
	config.ProbeInterval = time.Duration(1+random.IntN(2000)) * time.Millisecond
	analyzer, changeReply := newRandomSink(t, random)
	b := start(t, config, analyzer)
	offered := 0
	for range 300 {
		switch random.IntN(4) {
		case 0:
			changeReply()
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

// newRandomSink returns an analyzer that delivers until changeReply chooses another reply at
// random. It rejects some batches in part, depending on their ids.
func newRandomSink(t *testing.T, random *rand.Rand) (analyzer *fakeSink, changeReply func()) {
	t.Helper()
	replies := make(chan reply, 1)
	replies <- ok
	analyzer = newFakeSink(t, func(r request) reply {
		current := <-replies
		replies <- current
		if current.result.Outcome == sink.Delivered && len(r.bodies) > 1 && strings.HasSuffix(strings.SplitN(r.bodies[0], `","messages"`, 2)[0], "3") {
			return excepting(map[int]string{0: "", 1: sink.Malformed})
		}
		return current
	})
	analyzer.health = batching
	choices := []reply{
		ok, ok, ok, failing, rejecting(sink.Malformed), rejecting(sink.TooLarge), rejecting(sink.UnsupportedMedia),
		throttling(time.Second), throttling(minBackoff), hanging, closing, unreachable, exhausted,
		after(50*time.Millisecond, ok), after(time.Second, ok), {result: sink.Result{Outcome: sink.Aborted, Lost: "EOF", ProbeSoon: true}},
	}
	return analyzer, func() {
		<-replies
		replies <- choices[random.IntN(len(choices))]
	}
}
