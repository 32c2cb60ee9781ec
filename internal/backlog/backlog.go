// Package backlog estimates the undelivered packets of each emitter, from samples that the journal,
// the router and the analyzers take on request. So the packet path counts nothing, and no delivered
// packet is counted. An Emitters belongs to one goroutine.
package backlog

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// SamplePackets is the number of packets in the sample of each place. Places with no more packets
// are counted exactly.
const SamplePackets = 1024

// Visit is called with a packet of a sample, valid during the call, and the number of packets
// that it stands for.
type Visit func(p *packet.Packet, weight float64)

// Draw returns the positions of a sample of up to limit of count values, in order, and the
// number of values that each stands for. It divides the values into equal parts and draws
// one of each at random.
func Draw(count, limit int) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		n := min(count, limit)
		for i := range n {
			from, to := int(int64(i)*int64(count)/int64(n)), int(int64(i+1)*int64(count)/int64(n))
			if !yield(from+rand.IntN(to-from), float64(to-from)) {
				return
			}
		}
	}
}

// Emitters sums up samples by emitter. The zero value is empty. It must not be used
// concurrently. Its memory is that of the ids in the samples.
type Emitters struct {
	sums    map[string]*sum
	packets int64 // in the samples
}

type sum struct{ packets, messages, variance float64 }

// Add adds a packet of a sample; it is a Visit.
func (e *Emitters) Add(p *packet.Packet, weight float64) {
	var buffer [128]byte
	emitter := p.EmitterID.Decoded(buffer[:0], p.Body)
	if e.sums == nil {
		e.sums = make(map[string]*sum)
	}
	one := e.sums[string(emitter)]
	if one == nil {
		one = new(sum)
		e.sums[string(emitter)] = one
	}
	m := float64(p.Messages)
	e.packets++
	one.packets += weight
	one.messages += weight * m
	one.variance += weight * (weight - 1) * m * m // Horvitz and Thompson
}

// Sampled returns the number of packets in the samples.
func (e *Emitters) Sampled() int64 { return e.packets }

// Emitter is an estimate of the undelivered packets of an emitter.
type Emitter struct {
	ID       string
	Packets  int64
	Messages int64
	// MarginMessages is two standard errors of Messages: with a probability of 95 % the
	// number is not further off. It is 0 if all packets were counted.
	MarginMessages int64
}

// Top returns up to n emitters with most messages.
func (e *Emitters) Top(n int) []Emitter {
	ids := slices.SortedFunc(maps.Keys(e.sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(e.sums[b].messages, e.sums[a].messages), cmp.Compare(a, b))
	})
	top := []Emitter{}
	for _, id := range ids[:max(0, min(n, len(ids)))] {
		one := e.sums[id]
		top = append(top, Emitter{
			ID: id, Packets: int64(math.Round(one.packets)), Messages: int64(math.Round(one.messages)),
			MarginMessages: int64(math.Round(2 * math.Sqrt(one.variance))),
		})
	}
	return top
}
