package fairshare

import (
	"math"
	"math/bits"
	"slices"
)

// Crediting.
//
// A packet of m messages adds share·m to each deficit. For many members that is not done
// for each packet: the messages are added to credited, and the deficit of the member at
// position k is deficits[k] + shares[k]·credited. Among members with equal shares that
// changes no order: a tournament tree of each such group has its largest deficit at the
// root, and a charge replays the matches of one member. Equal weights have at most a few
// different shares, because shares are rounded.
//
// If there are many groups, blocks of them keep their largest deficit for as long as no
// other one can have reached it: the lead, divided by how much faster another deficit grows
// at most. So a Pick looks at one member of each block, and at one of each group of the
// block in which it charged one.
//
// It is exact: a Pick selects the same member and leaves the same deficits either way.

const (
	// maxDirect is the maximum number of members for which adding to each is faster.
	maxDirect   = 32
	blockGroups = 16
	// maxCredited bounds the products of shares and credited messages to 2⁵⁴.
	maxCredited = 1 << 22
)

// group is the members with one share.
type group struct {
	share int64
	// best is the position of the largest deficit, the first among equal ones, and deficit
	// is deficits[best].
	best    int
	deficit int64
	// The matches of a group of n members are n-1 winners, the last one at index 1, and the
	// members, from left to right in the order of their positions.
	from, members int
}

// block is what is known about blockGroups groups.
type block struct {
	// best is the group with the largest deficit until credited reaches ends.
	best *group
	ends int64
}

// groups are the active members by share.
type groups struct {
	valid   bool // the shares are those that the groups were made from
	all     []group
	blocks  []block
	of      []int   // by position: the index in all
	leaf    []int   // by position: the index in matches
	matches []int   // the trees of all groups, of positions
	order   []int64 // share·MaxMembers + position, ascending
}

// regroup makes the groups of the active members.
func (t *Table) regroup() {
	g, n := &t.groups, len(t.members)
	g.of, g.leaf = slices.Grow(g.of[:0], n)[:n], slices.Grow(g.leaf[:0], n)[:n]
	g.matches = slices.Grow(g.matches[:0], 2*n)[:2*n]
	g.order = g.order[:0]
	for k, share := range t.shares {
		g.order = append(g.order, share*MaxMembers+int64(k))
	}
	slices.Sort(g.order)
	g.all = g.all[:0]
	for from, to := 0, 0; from < n; from = to {
		share := g.order[from] / MaxMembers
		for to < n && g.order[to]/MaxMembers == share {
			to++
		}
		g.all = append(g.all, t.newGroup(share, from, to))
	}
	blocks := (len(g.all) + blockGroups - 1) / blockGroups
	g.blocks = slices.Grow(g.blocks[:0], blocks)[:blocks]
	clear(g.blocks)
	g.valid = true
}

// newGroup returns the group of the members of a range of the order, and makes its matches.
func (t *Table) newGroup(share int64, from, to int) group {
	g, n := &t.groups, to-from
	matches := g.matches[2*from : 2*to]
	first := 1 << bits.Len(uint(n-1)) // of the lowest level, which need not be full
	for i, key := range g.order[from:to] {
		k, leaf := int(key%MaxMembers), first+i
		if leaf >= 2*n {
			leaf -= n
		}
		g.of[k], g.leaf[k], matches[leaf] = len(g.all), leaf, k
	}
	for i := n - 1; i > 0; i-- {
		left, right := matches[2*i], matches[2*i+1]
		if t.deficits[left] >= t.deficits[right] {
			matches[i] = left
		} else {
			matches[i] = right
		}
	}
	best := matches[1]
	return group{share: share, best: best, deficit: t.deficits[best], from: 2 * from, members: n}
}

// replay updates the matches of the member at a position.
func (t *Table) replay(k int) {
	g := &t.groups
	one := &g.all[g.of[k]]
	matches := g.matches[one.from : one.from+2*one.members]
	deficits := t.deficits
	best, highest := k, deficits[k]
	for i := g.leaf[k]; i > 1; i /= 2 {
		other := matches[i^1]
		d := deficits[other]
		if d+int64(i&1) > highest { // the left one of equal ones wins
			best, highest = other, d
		}
		matches[i/2] = best
	}
	one.best, one.deficit = best, highest
	g.blocks[g.of[k]/blockGroups].ends = 0
}

// credit adds m messages to all deficits by the shares and returns the position of the
// largest deficit.
func (t *Table) credit(m int64) int {
	if len(t.deficits) > maxDirect {
		return t.creditLazily(m)
	}
	return t.creditEach(m)
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

// creditLazily is credit that adds to credited.
func (t *Table) creditLazily(m int64) int {
	if t.credited+m > maxCredited {
		t.settle()
	}
	t.credited += m
	if !t.groups.valid {
		t.regroup()
	}
	if len(t.groups.blocks) == 1 {
		return t.largest(t.groups.all).best
	}
	best, highest := 0, int64(math.MinInt64)
	for b := range t.groups.blocks {
		one := &t.groups.blocks[b]
		if one.ends <= t.credited {
			t.renew(b)
		}
		if deficit := one.best.deficit + one.best.share*t.credited; deficit > highest || deficit == highest && one.best.best < best {
			best, highest = one.best.best, deficit
		}
	}
	return best
}

// largest returns the group with the largest deficit.
func (t *Table) largest(all []group) (best *group) {
	highest := int64(math.MinInt64)
	for i := range all {
		one := &all[i]
		if deficit := one.deficit + one.share*t.credited; deficit > highest || deficit == highest && one.best < best.best {
			best, highest = one, deficit
		}
	}
	return best
}

// renew finds the largest deficit of a block, and until when it is.
func (t *Table) renew(b int) {
	all := t.groups.all[b*blockGroups : min((b+1)*blockGroups, len(t.groups.all))]
	best := t.largest(all)
	highest, second := best.deficit+best.share*t.credited, int64(math.MinInt64)
	for i := range all {
		if one := &all[i]; one != best {
			second = max(second, one.deficit+one.share*t.credited)
		}
	}
	ends := int64(math.MaxInt64)
	if gain := all[len(all)-1].share - best.share; gain > 0 { // groups are in the order of their shares
		ends = t.credited + divideUp(highest-second, gain)
	}
	t.groups.blocks[b] = block{best, ends}
}

// charge subtracts m messages from the deficit at a position.
func (t *Table) charge(k int, m int64) {
	t.deficits[k] -= m << fractionBits
	if t.groups.valid {
		t.replay(k)
	}
}

// settle adds what is credited to the deficits. It must be called before deficits or shares
// are used or changed otherwise.
func (t *Table) settle() {
	if t.credited != 0 {
		for k, share := range t.shares {
			t.deficits[k] += share * t.credited
		}
		for i := range t.groups.all {
			one := &t.groups.all[i]
			one.deficit += one.share * t.credited
		}
		t.credited = 0
	}
	clear(t.groups.blocks)
}
