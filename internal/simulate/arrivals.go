package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// synthetic describes arrivals: a Poisson process of packets with uniformly distributed
// sizes. The same description gives the same arrivals.
type synthetic struct {
	Rate     float64 // packets per second
	Min, Max int     // messages of a packet
	For      time.Duration
	Seed     uint64
}

// maxArrivals bounds the memory of synthetic arrivals and of traces: 16 bytes each.
const maxArrivals = 50_000_000

func (s synthetic) validate() error {
	if packets := s.Rate * s.For.Seconds(); packets > maxArrivals {
		return fmt.Errorf("%.0f packets in %v: there may be %d", packets, s.For, maxArrivals)
	}
	return nil
}

// arrivals returns the arrivals in the order of their times.
func (s synthetic) arrivals() (arrivals []Arrival) {
	random := rand.New(rand.NewPCG(s.Seed, 1))
	for at := time.Duration(0); ; {
		interval := random.ExpFloat64() / s.Rate * float64(time.Second)
		if interval >= float64(s.For-at) { // it may be longer than any Duration
			return arrivals
		}
		at += time.Duration(interval)
		arrivals = append(arrivals, Arrival{at, s.Min + random.IntN(s.Max-s.Min+1)})
	}
}

// sortEvents sorts events by time; those of the same time keep their order.
func sortEvents(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
}
