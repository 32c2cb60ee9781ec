package native

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ring is distributors of which each is the analyzer of the one before it.
type ring struct {
	next    []*Sink // from each distributor
	other   *Sink   // from the first one
	first   bool    // other comes before next
	refused []bool  // by the distributor: the result of its latest probe of the next one
}

func newRing(n int) *ring {
	r := &ring{other: new(Sink), refused: make([]bool, n)}
	for i := range n {
		r.next = append(r.next, &Sink{self: Pseudonym(strconv.Itoa(i))})
	}
	return r
}

// via returns the response of a distributor to a probe.
func (r *ring) via(i int) response {
	sinks := []*Sink{r.next[i]}
	if i == 0 {
		sinks = append(sinks, r.other)
	}
	if r.first {
		slices.Reverse(sinks)
	}
	name, value := Via(r.next[i].self, sinks)
	return response{fields: []byte(name + ": " + value + "\n")}
}

// probe has distributors probe the next ones at the same time.
func (r *ring) probe(distributors ...int) {
	var responses []response
	for _, i := range distributors {
		responses = append(responses, r.via((i+1)%len(r.next)))
	}
	for k, i := range distributors {
		_, ok := r.next[i].checkLoop(responses[k])
		r.refused[i] = !ok
	}
}

// In a ring each distributor refuses the next one, once all have probed, in whatever order they probe
// then. A distributor behind one of them is not named any more once it has gone.
func TestRingsStayRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "distributors")
		r, gone := newRing(n), Pseudonym("gone")
		r.other.gateways.Store(&[]string{gone})
		r.first = rapid.Bool().Draw(t, "the other one first")
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		for range n {
			r.probe(all...)
		}
		r.other.gateways.Store(nil)
		for range 4 * n {
			r.probe(rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, n, rapid.ID[int]).Draw(t, "probe")...)
			for i, refused := range r.refused {
				if !refused {
					t.Fatalf("distributor %d of %d takes the next one", i, n)
				}
			}
		}
		for range n {
			r.probe(all...)
		}
		for i := range n {
			if via := r.via(i).field(viaField); strings.Contains(via, gone) {
				t.Fatalf("distributor %d names one that has gone: %s", i, via)
			}
		}
	})
}
