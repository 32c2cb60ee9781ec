package fairshare

import (
	"math/bits"
	"slices"
)

// Join makes i active with a deficit of 0. It does nothing if i is active.
func (t *Table) Join(i int) {
	if t.Active(i) {
		return
	}
	t.settle()
	k, _ := slices.BinarySearch(t.members, i)
	t.members = slices.Insert(t.members, k, i)
	t.deficits = slices.Insert(t.deficits, k, 0)
	t.changed(k)
}

// Leave makes i inactive and distributes its deficit over the remaining members
// by weight, which restores the deficits that they would have without the packets
// of i. It does nothing if i is inactive.
func (t *Table) Leave(i int) {
	if !t.Active(i) {
		return
	}
	t.settle()
	k := t.position[i]
	deficit := t.deficits[k]
	t.members = slices.Delete(t.members, k, k+1)
	t.deficits = slices.Delete(t.deficits, k, k+1)
	t.position[i] = inactive
	t.changed(k)
	t.spread(deficit)
}

// SetWeight changes the weight of i, active or not. It changes shares and not
// deficits, and ignores a weight that Add would reject.
func (t *Table) SetWeight(i int, weight float64) {
	if !valid(weight) || t.weights[i] == weight {
		return
	}
	t.weights[i] = weight
	if t.Active(i) {
		t.settle()
		t.apportion()
		t.deviation.invalidate()
	}
}

// changed updates positions and shares after an insertion or deletion at k.
func (t *Table) changed(k int) {
	for ; k < len(t.members); k++ {
		t.position[t.members[k]] = k
	}
	t.shares = t.shares[:len(t.members)]
	t.apportion()
	t.deviation.reset()
}

// apportion sets the shares of the active members by their weights, as the
// differences of rounded cumulative sums: they sum to exactly fixedOne, each with
// an error below one unit.
func (t *Table) apportion() {
	sum := 0.0
	for _, i := range t.members {
		sum += t.weights[i]
	}
	cumulative, previous := 0.0, int64(0)
	for k, i := range t.members {
		cumulative += t.weights[i]
		next := int64(cumulative / sum * fixedOne)
		t.shares[k] = next - previous
		previous = next
	}
	t.groups.valid = false
}

// spread distributes a deficit over the active members by their shares, rounded
// as in apportion, so that the parts sum to exactly that deficit.
func (t *Table) spread(deficit int64) {
	sign, size := int64(1), uint64(deficit)
	if deficit < 0 {
		sign, size = -1, uint64(-deficit)
	}
	cumulative, previous := int64(0), int64(0)
	for k, share := range t.shares {
		cumulative += share
		next := scale(size, cumulative)
		t.deficits[k] += sign * (next - previous)
		previous = next
	}
}

// scale returns size·share/fixedOne, rounded down. The product may have 96 bits.
func scale(size uint64, share int64) int64 {
	high, low := bits.Mul64(size, uint64(share))
	return int64(high<<(64-fractionBits) | low>>fractionBits)
}
