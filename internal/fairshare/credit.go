package fairshare

import "math"

// Crediting.
//
// A packet of m messages adds share·m to each deficit. For many members that is not done
// for each packet: the messages are added to credited, and the deficit of the member at
// position k is deficits[k] + shares[k]·credited. Blocks of members keep the position of
// their largest deficit for as long as no other one can have reached it: the lead, divided
// by how much faster another deficit grows at most. So a Pick looks at one member of each
// block, and at all those of the block in which it charged one.
//
// It is exact: a Pick selects the same member and leaves the same deficits either way.

const (
	blockMembers = 16
	// maxDirect is the maximum number of members for which adding to each is faster.
	maxDirect = 2 * blockMembers
	// maxCredited bounds the products of shares and credited messages to 2⁵⁴.
	maxCredited = 1 << 22
)

// block is what is known about blockMembers members.
type block struct {
	// best is the position of the largest deficit, the first among equal ones, until
	// credited reaches ends. deficit and share are those at that position.
	best           int
	deficit, share int64
	ends           int64
}

// credit adds m messages to all deficits by the shares and returns the position of the
// largest deficit.
func (t *Table) credit(m int64) int {
	if len(t.deficits) <= maxDirect {
		return t.creditEach(m)
	}
	if t.credited+m > maxCredited {
		t.settle()
	}
	t.credited += m
	if blocks := (len(t.deficits) + blockMembers - 1) / blockMembers; len(t.blocks) != blocks {
		t.blocks = make([]block, blocks)
	}
	best, highest := 0, int64(math.MinInt64)
	for b := range t.blocks {
		one := &t.blocks[b]
		if one.ends <= t.credited {
			t.renew(b)
		}
		if deficit := one.deficit + one.share*t.credited; deficit > highest {
			best, highest = one.best, deficit
		}
	}
	return best
}

// creditEach is credit that adds to each deficit.
func (t *Table) creditEach(m int64) int {
	deficits := t.deficits
	shares := t.shares[:len(deficits)]
	best, highest := 0, int64(math.MinInt64)
	for k, share := range shares {
		deficit := deficits[k] + share*m
		deficits[k] = deficit
		if deficit > highest {
			best, highest = k, deficit
		}
	}
	return best
}

// renew finds the largest deficit of a block, and until when it is.
func (t *Table) renew(b int) {
	from, to := b*blockMembers, min((b+1)*blockMembers, len(t.deficits))
	best, highest, second, fastest := 0, int64(math.MinInt64), int64(math.MinInt64), int64(0)
	deficits, shares := t.deficits[from:to], t.shares[from:to]
	for k, share := range shares[:len(deficits)] {
		deficit := deficits[k] + share*t.credited
		if deficit > highest {
			best, highest, second = from+k, deficit, highest
		} else if deficit > second {
			second = deficit
		}
		fastest = max(fastest, share)
	}
	one := block{best: best, deficit: t.deficits[best], share: t.shares[best], ends: math.MaxInt64}
	if gain := fastest - t.shares[best]; gain > 0 {
		one.ends = t.credited + divideUp(highest-second, gain)
	}
	t.blocks[b] = one
}

// charge subtracts m messages from the deficit at a position.
func (t *Table) charge(k int, m int64) {
	t.deficits[k] -= m << fractionBits
	if b := k / blockMembers; b < len(t.blocks) {
		t.blocks[b].ends = 0
	}
}

// settle adds what is credited to the deficits. It must be called before deficits or shares
// are used or changed otherwise.
func (t *Table) settle() {
	if t.credited > 0 {
		for k, share := range t.shares {
			t.deficits[k] += share * t.credited
		}
		t.credited = 0
	}
	for b := range t.blocks {
		t.blocks[b].ends = 0
	}
}
