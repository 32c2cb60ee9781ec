// Package fairshare distributes packets of different sizes over weighted members
// by smooth weighted round robin counted in messages, so that each member's
// number of messages stays close to its share at every moment, not only on
// average. Members are identified by their index.
//
// Each active member has a deficit: its share of all messages so far minus the
// messages it received. Picking a member for a packet of m messages adds share·m
// to each active deficit, selects the largest deficit (the lowest index among
// equal ones) and subtracts m from it.
//
// Guarantees:
//
//   - The deficits of the active members sum to exactly 0 at all times. Shares
//     are multiples of 2⁻³² that sum to exactly 1, deficits are multiples of 2⁻³²
//     messages; Pick never rounds.
//   - No deficit exceeds Table.MaxDeviation in absolute value. The maximum is
//     proved and independent of the length of the stream; see deviation.go.
//   - A member joins with a deficit of 0, so that it gets no burst to catch up.
//   - The same calls give the same picks. There is no clock, no randomness and no
//     I/O, and Pick and Refund do not allocate.
package fairshare

import (
	"fmt"
	"math"
	"slices"
)

// Within these limits no sum of deficits overflows an int64: 2¹⁰ members of at
// most 2¹⁸ messages in units of 2⁻³² make 2⁶⁰, which leaves a factor of eight for
// changes of the active set.
const (
	// MaxMembers is the maximum number of members.
	MaxMembers = 1 << 10
	// MaxMessages is the maximum packet size; larger packets count as this.
	MaxMessages = 1 << 18
	// MaxWeight is the maximum weight; sums of weights stay finite.
	MaxWeight = 1e300
)

// Shares and deficits are fixed-point numbers; fixedOne is a share of 1, and one
// message.
const (
	fractionBits = 32
	fixedOne     = 1 << fractionBits
)

// Table holds the deficits of members. The zero value has none. It must not be used
// concurrently. A member's index stays the same until it is removed; then the next
// member that is added may get it.
type Table struct {
	weights  []float64 // by index; removed is that of no member
	position []int     // by index: the index in the slices below, or inactive

	// The active members in ascending order. The shares sum to fixedOne, the
	// deficits to 0.
	members  []int
	shares   []int64
	deficits []int64
	// credited are messages whose shares are not yet in deficits; see credit.
	credited int64

	deviation deviation
	groups    groups // see credit
}

const (
	inactive = -1 // the position of an inactive member
	removed  = 0  // the weight of an unused index
)

// Add adds an inactive member and returns its index, the lowest that is unused.
// Weights are above 0 and at most MaxWeight; only their proportions matter.
func (t *Table) Add(weight float64) (i int, err error) {
	if !valid(weight) {
		return 0, fmt.Errorf("weight %v: a weight must be above 0 and at most %v", weight, float64(MaxWeight))
	}
	i = slices.Index(t.weights, removed)
	if i < 0 {
		i = len(t.weights)
		if i == MaxMembers {
			return 0, fmt.Errorf("there may be at most %d members", MaxMembers)
		}
		t.weights, t.position = append(t.weights, removed), append(t.position, inactive)
		t.shares = slices.Grow(t.shares, i+1-len(t.shares))
		t.deficits = slices.Grow(t.deficits, i+1-len(t.deficits))
		t.deviation.grow(i + 1)
	}
	t.weights[i] = weight
	return i, nil
}

// Remove removes a member; see Leave.
func (t *Table) Remove(i int) {
	t.Leave(i)
	t.weights[i] = removed
}

func valid(weight float64) bool {
	return weight > 0 && weight <= MaxWeight
}

// Pick selects the member for a packet with the given number of messages, from 1
// to MaxMessages, and charges it. Pick selects the member avoid (-1: none) only if
// no other is active, and reports false if none is active.
func (t *Table) Pick(messages, avoid int) (i int, ok bool) {
	if len(t.members) == 0 {
		return 0, false
	}
	m := clampMessages(messages)
	if t.deviation.invalid {
		t.settle()
	}
	t.deviation.observe(m, t.deficits)
	first := t.credit(m)
	chosen := t.avoiding(first, avoid)
	if chosen != first {
		t.deviation.invalidate()
	}
	t.charge(chosen, m)
	return t.members[chosen], true
}

// avoiding returns first, or the position of the next largest deficit if first is
// the position of the member avoid and another member is active.
func (t *Table) avoiding(first, avoid int) int {
	if t.members[first] != avoid || len(t.members) == 1 {
		return first
	}
	t.settle()
	best, highest := inactive, int64(math.MinInt64)
	for k, deficit := range t.deficits {
		if k != first && deficit > highest {
			best, highest = k, deficit
		}
	}
	return best
}

// Refund undoes a Pick of i for a number of messages under the current shares. It
// does nothing if i is inactive, because Leave discards the deficit.
//
// Callers refund only charges since i last joined; an earlier charge would become
// a credit.
func (t *Table) Refund(i, messages int) {
	chosen := t.position[i]
	if chosen == inactive {
		return
	}
	m := clampMessages(messages)
	t.credited -= m
	t.settle()
	t.charge(chosen, -m)
	t.deviation.invalidate()
}

func clampMessages(messages int) int64 {
	return int64(min(max(messages, 1), MaxMessages))
}

// Active reports whether i is active.
func (t *Table) Active(i int) bool { return t.position[i] != inactive }

// ActiveCount returns the number of active members.
func (t *Table) ActiveCount() int { return len(t.members) }

// Share returns the current share of i, from 0 to 1; it is 0 if i is inactive.
// The shares of the active members sum to 1.
func (t *Table) Share(i int) float64 {
	if t.position[i] == inactive {
		return 0
	}
	return float64(t.shares[t.position[i]]) / fixedOne
}

// Deficit returns by how many messages i is below its share since it joined, as a
// negative number if i is above; it is 0 if i is inactive.
func (t *Table) Deficit(i int) float64 {
	if t.position[i] == inactive {
		return 0
	}
	k := t.position[i]
	return float64(t.deficits[k]+t.shares[k]*t.credited) / fixedOne
}

// Weight returns the weight of i, active or not.
func (t *Table) Weight(i int) float64 { return t.weights[i] }
