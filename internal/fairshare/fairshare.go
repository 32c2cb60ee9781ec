// Package fairshare says whose turn it is: given the weights of some members
// and a stream of packets of different sizes, Table.Pick names the member that
// each packet goes to, so that every member's number of messages stays close
// to its share at every moment, not only on average. Members are known by
// their index.
//
// The rule is smooth weighted round robin counted in messages. Every active
// member has a deficit: its share of all messages so far, less what it got. A
// packet of m messages adds share·m to every active deficit, goes to the
// largest one (of equal ones, to the lowest index), and that one pays m.
//
// What is promised:
//
//   - The deficits of the active members sum to exactly 0 at all times.
//     Shares are whole numbers of 2⁻³² that sum to exactly 1, deficits whole
//     numbers of 2⁻³² message; nothing is ever rounded on the way of a packet.
//   - Nobody's deficit is ever larger than Table.Bound, above or below 0; the
//     bound is proved, and does not grow with the length of the stream. See
//     bound.go for the formula.
//   - A member that joins starts at deficit 0: no debt, no flood of packets to
//     catch up.
//   - The same calls give the same picks. There is no clock, no randomness, no
//     input or output, and Pick and Refund do not allocate.
//
// A Table must not be used by two goroutines at once.
package fairshare

import (
	"fmt"
	"math"
)

// What a table can hold. Within these limits no sum of deficits comes near the
// ends of an int64: 2¹⁰ members of at most 2¹⁸ messages in units of 2⁻³² make
// 2⁶⁰, which leaves a factor of eight for changes of the active set.
const (
	// MaxMembers is the largest number of members.
	MaxMembers = 1 << 10
	// MaxMessages is the largest packet; larger ones are counted as this.
	MaxMessages = 1 << 18
	// MaxWeight is the largest weight; sums of weights stay finite.
	MaxWeight = 1e300
)

// whole is a share of 1, and one message, in the units of the ledger.
const (
	wholeBits = 32
	whole     = 1 << wholeBits
)

// Table is the ledger of who is owed how much. It must not be used
// concurrently. Indexes run from 0 to the number of weights given to New.
type Table struct {
	weights []float64 // of every member
	place   []int     // of every member in the slices below, or absent

	// The active members, by ascending index. The shares sum to whole, the
	// deficits to 0.
	members  []int
	shares   []int64
	deficits []int64

	bound boundary
}

// absent is the place of a member that is not active.
const absent = -1

// New returns a table of members with the given weights, none of them active.
// Weights are above 0 and at most MaxWeight; only their proportions matter.
func New(weights []float64) (*Table, error) {
	n := len(weights)
	if n < 1 || n > MaxMembers {
		return nil, fmt.Errorf("%d weights: the number of members must be between 1 and %d", n, MaxMembers)
	}
	t := &Table{
		weights:  make([]float64, n),
		place:    make([]int, n),
		members:  make([]int, 0, n),
		shares:   make([]int64, 0, n),
		deficits: make([]int64, 0, n),
		bound:    newBoundary(n),
	}
	for i, w := range weights {
		if !valid(w) {
			return nil, fmt.Errorf("weight %v of member %d: a weight must be above 0 and at most %v", w, i, float64(MaxWeight))
		}
		t.weights[i] = w
		t.place[i] = absent
	}
	return t, nil
}

func valid(weight float64) bool {
	return weight > 0 && weight <= MaxWeight
}

// Pick names the member that a packet of that many messages goes to, and
// charges it. The member avoid (-1: none) is chosen only when no other is
// active. It returns false when nobody is active.
//
// A packet counts as at least 1 and at most MaxMessages messages.
func (t *Table) Pick(messages, avoid int) (i int, ok bool) {
	if len(t.members) == 0 {
		return 0, false
	}
	m := countable(messages)
	t.bound.observe(m, t.deficits)
	first := t.grant(m)
	chosen := t.other(first, avoid)
	if chosen != first {
		t.bound.disturb()
	}
	t.deficits[chosen] -= m << wholeBits
	return t.members[chosen], true
}

// grant adds everybody's share of m messages and returns the place of the
// largest deficit.
func (t *Table) grant(m int64) int {
	deficits := t.deficits
	shares := t.shares[:len(deficits)]
	best, largest := 0, int64(math.MinInt64)
	for k, share := range shares {
		deficit := deficits[k] + share*m
		deficits[k] = deficit
		if deficit > largest {
			best, largest = k, deficit
		}
	}
	return best
}

// other returns the given place, or the place of the next largest deficit when
// the member there is to be avoided and is not alone.
func (t *Table) other(first, avoid int) int {
	if t.members[first] != avoid || len(t.members) == 1 {
		return first
	}
	best, largest := absent, int64(math.MinInt64)
	for k, deficit := range t.deficits {
		if k != first && deficit > largest {
			best, largest = k, deficit
		}
	}
	return best
}

// Refund undoes a Pick of i for that many messages under the present shares;
// when i is not active it does nothing, because its ledger ended when it left.
//
// The caller refunds only what was charged since i last joined: a refund for
// an earlier stay would be a credit, and i would get that much too much.
func (t *Table) Refund(i, messages int) {
	chosen := t.place[i]
	if chosen == absent {
		return
	}
	m := countable(messages)
	for k, share := range t.shares {
		t.deficits[k] -= share * m
	}
	t.deficits[chosen] += m << wholeBits
	t.bound.disturb()
}

func countable(messages int) int64 {
	return int64(min(max(messages, 1), MaxMessages))
}

// Active says whether i can be picked.
func (t *Table) Active(i int) bool { return t.place[i] != absent }

// ActiveCount returns how many members can be picked.
func (t *Table) ActiveCount() int { return len(t.members) }

// Share returns the part of all messages that i is to get now, from 0 to 1; it
// is 0 when i is not active. The shares of the active members sum to 1.
func (t *Table) Share(i int) float64 {
	if t.place[i] == absent {
		return 0
	}
	return float64(t.shares[t.place[i]]) / whole
}

// Deficit returns how many messages i is owed since it joined: it is positive
// when i got less than its share, negative when it got more, and 0 when i is
// not active.
func (t *Table) Deficit(i int) float64 {
	if t.place[i] == absent {
		return 0
	}
	return float64(t.deficits[t.place[i]]) / whole
}
