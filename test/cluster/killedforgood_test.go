//go:build linux

package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// redelivery is an acknowledgement of an envelope that a server had delivered more than once.
type redelivery struct {
	envelope string
	at       time.Time // of the last delivery, by the clock of the server
}

// acknowledged is the server's report of an acknowledgement.
type acknowledged struct {
	At         time.Time     `json:"timestamp"`
	Stream     string        `json:"stream"`
	Sequence   uint64        `json:"stream_seq"`
	Delay      time.Duration `json:"ack_time"` // since the last delivery
	Deliveries int           `json:"deliveries"`
}

// watchRedeliveries makes the server report every acknowledgement, and returns a function that
// returns those of envelopes that were delivered again.
func (y *system) watchRedeliveries() (redeliveries func() []redelivery) {
	y.t.Helper()
	var mu sync.Mutex // guards all
	var all []redelivery
	conn, _ := y.connect()
	_, err := conn.Subscribe("$JS.EVENT.METRIC.CONSUMER.ACK.>", func(m *nats.Msg) {
		var one acknowledged
		if err := json.Unmarshal(m.Data, &one); err != nil {
			y.t.Error(err)
		}
		if one.Deliveries > 1 {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, redelivery{fmt.Sprint(one.Stream, " ", one.Sequence), one.At.Add(-one.Delay)})
		}
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		y.t.Fatal(err)
	}
	y.changeConsumers(func(c *jetstream.ConsumerConfig) { c.SampleFrequency = "100%" })
	return func() []redelivery {
		mu.Lock()
		defer mu.Unlock()
		return append([]redelivery(nil), all...)
	}
}

// awaitEmptyStreams waits until every envelope is acknowledged.
func (y *system) awaitEmptyStreams() {
	y.t.Helper()
	_, api := y.connect()
	await(y.t, "all envelopes are acknowledged", func() bool {
		for partition := range partitions {
			stream, err := api.Stream(y.t.Context(), streamOf(partition))
			if err != nil || stream.CachedInfo().State.Msgs > 0 {
				return false
			}
		}
		return true
	})
}

// holds returns the number of packets that the distributor has received and not settled.
func (d *distributor) holds() int64 {
	l, err := d.ledger()
	if err != nil {
		return 0
	}
	return l.Queued.Packets + l.InFlight.Packets
}

// killHolding kills the first distributor while its analyzer does not respond and it holds at least
// 200 packets, and returns the held packets.
func (y *system) killHolding() (at time.Time, held heldPackets) {
	y.t.Helper()
	const minHeld = 200
	victim, its := y.distributors[0], y.analyzers[0]
	its.Behave(analyzertest.Behaviour{Hang: true})
	await(y.t, "it holds packets without an answer", func() bool {
		held.packets = victim.holds()
		return len(its.Hung()) > 0 && held.packets >= minHeld
	})
	victim.kill()
	at = time.Now()
	held.hung, held.answered = its.Hung(), its.Taken()
	maps.DeleteFunc(held.hung, func(id string, _ bool) bool { return held.answered[id] > 0 })
	return at, held
}

// heldPackets are the packets of a distributor that was killed.
type heldPackets struct {
	packets  int64           // received and not settled
	hung     map[string]bool // sent to the analyzer, which has not responded
	answered map[string]int  // the number of responses of the analyzer for each packet
}

// awaitOthers waits until the other distributors have received and delivered as many packets as the
// killed one held, and returns the evidence.
func (y *system) awaitOthers(held heldPackets) (e evidence) {
	y.t.Helper()
	await(y.t, "the others have received what it held, and delivered it", func() bool {
		e = y.readLogs(nil)
		taken := y.taken()
		for id := range e.again {
			if taken[id] == 0 {
				return false
			}
		}
		return int64(len(e.again)) >= held.packets
	})
	for id := range held.hung {
		if e.again[id] == nil {
			y.t.Errorf("%s was sent to the analyzer of the one that was killed, and never given to others", id)
		}
	}
	return e
}

// A distributor is killed for good under load, while its analyzer does not respond: the packets
// that it has received are claimed and not acknowledged. The server delivers all of them to the
// other distributors within AckWait + 5 s of the kill (with -judge), by its own clock, and they
// deliver every packet. Only packets that were settled before the kill, in an envelope that was not
// acknowledged because of its other packets, are delivered twice.
func TestDistributorKilledForGood(t *testing.T) {
	t.Parallel()
	margin := time.Minute // of a busy machine
	if *judge {
		margin = 5 * time.Second
	}
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 3, apart: true, environment: append([]string{"LOG_LEVEL=debug", "LOG_FORMAT=json"}, patient...)})
	redeliveries := y.watchRedeliveries()
	killed, held := y.killHolding()
	e := y.awaitOthers(held)
	took := time.Since(killed)
	y.emitters.awaitMore(t, 300)
	y.finish()
	y.awaitEmptyStreams()
	latest, envelopes := time.Duration(0), make(map[string]bool)
	for _, one := range redeliveries() {
		latest, envelopes[one.envelope] = max(latest, one.at.Sub(killed)), true
	}
	t.Logf("it held %d packets, %d of them sent; %d packets in %d envelopes were given to the others, the last %v after the kill by the server's clock; all were delivered after %v",
		held.packets, len(held.hung), len(e.again), len(envelopes), latest.Round(time.Millisecond), took.Round(time.Millisecond))
	if len(held.hung) == 0 || len(envelopes) == 0 {
		t.Errorf("%d packets hung, and %d envelopes were delivered again", len(held.hung), len(envelopes))
	}
	if latest > ackWait()+margin || *judge && took > ackWait()+margin {
		t.Errorf("redelivery took %v, and the delivery of all %v: more than %v", latest, took, ackWait()+margin)
	}
	for id, times := range y.taken() {
		if times > 1 && (held.answered[id] != 1 || y.analyzers[0].Taken()[id] != 1 || times > 2) {
			t.Errorf("%s came %d times, and was answered %d times before the kill", id, times, held.answered[id])
		}
	}
}
