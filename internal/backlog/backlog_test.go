package backlog

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"pgregory.net/rapid"
)

func TestDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, limit := rapid.IntRange(0, 5000).Draw(t, "count"), rapid.IntRange(0, 2000).Draw(t, "limit")
		drawn, last, sum := 0, -1, 0.0
		for at, weight := range Draw(count, limit) {
			if at <= last || at >= count || weight < 1 {
				t.Fatalf("position %d after %d of %d, for %v", at, last, count, weight)
			}
			drawn, last, sum = drawn+1, at, sum+weight
		}
		if drawn != min(count, limit) || drawn > 0 && sum != float64(count) {
			t.Fatalf("%d drawn of %d with the limit %d, for %v", drawn, count, limit, sum)
		}
	})
}

func packetOf(emitter string, messages int) *packet.Packet {
	return &packet.Packet{Body: []byte(emitter), Info: packet.Info{EmitterID: packet.NewText(0, len(emitter), false), Messages: messages}}
}

func TestExactSums(t *testing.T) {
	var e Emitters
	for i := range 10 {
		e.Add(packetOf(fmt.Sprint("e", i%3), 1+i%3), 1)
	}
	want := []Emitter{{"e2", 3, 9, 0}, {"e1", 3, 6, 0}}
	if got := e.Top(2); !reflect.DeepEqual(got, want) || e.Sampled() != 10 {
		t.Errorf("%+v, %d sampled", got, e.Sampled())
	}
	if got := e.Top(9); len(got) != 3 {
		t.Errorf("%+v", got)
	}
	if got := e.Top(-1); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// Of many packets the estimate is as near as its margin says, nearly always: here, a
// quarter of the packets with three quarters of the messages.
func TestEstimates(t *testing.T) {
	const count, rounds = 100_000, 200
	outside, sum := 0, 0.0
	large, small := packetOf("large", 9), packetOf("small", 1)
	const want = count / 4 * 9
	for range rounds {
		var e Emitters
		for at, weight := range Draw(count, SamplePackets) {
			if at*7919%count%4 == 0 {
				e.Add(large, weight)
			} else {
				e.Add(small, weight)
			}
		}
		top := e.Top(1)[0]
		if top.ID != "large" || top.MarginMessages < want/100 || top.MarginMessages > want/5 {
			t.Fatalf("%+v", top)
		}
		if math.Abs(float64(top.Messages-want)) > float64(top.MarginMessages) {
			outside++
		}
		sum += float64(top.Messages) / rounds
	}
	if outside > rounds/4 { // 5 % are expected
		t.Errorf("%d of %d estimates are off by more than their margin", outside, rounds)
	}
	if math.Abs(sum-want) > want/50 {
		t.Errorf("on average %v, want %v", sum, want)
	}
}

func BenchmarkAdd(b *testing.B) {
	var packets []*packet.Packet
	for i := range 100 {
		packets = append(packets, packetOf(fmt.Sprint("emitter-", i), 5))
	}
	var e Emitters
	i := 0
	for b.Loop() {
		e.Add(packets[i%100], 3)
		i++
	}
}
