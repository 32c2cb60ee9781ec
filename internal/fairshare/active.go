package fairshare

import (
	"math/bits"
	"slices"
)

// Join makes i active, with a deficit of 0. It does nothing when i is active.
func (t *Table) Join(i int) {
	if t.Active(i) {
		return
	}
	k, _ := slices.BinarySearch(t.members, i)
	t.members = slices.Insert(t.members, k, i)
	t.deficits = slices.Insert(t.deficits, k, 0)
	t.changed(k)
}

// Leave makes i inactive. Its deficit is spread over those who stay, by their
// weights: they stand as if the packets that i got had never been there. It
// does nothing when i is not active.
func (t *Table) Leave(i int) {
	if !t.Active(i) {
		return
	}
	k := t.place[i]
	deficit := t.deficits[k]
	t.members = slices.Delete(t.members, k, k+1)
	t.deficits = slices.Delete(t.deficits, k, k+1)
	t.place[i] = absent
	t.changed(k)
	t.spread(deficit)
}

// SetWeight changes the weight of i, active or not. Shares change from now on;
// what anybody is owed until now does not. A weight that New would refuse
// changes nothing.
func (t *Table) SetWeight(i int, weight float64) {
	if !valid(weight) || t.weights[i] == weight {
		return
	}
	t.weights[i] = weight
	if t.Active(i) {
		t.apportion()
		t.bound.disturb()
	}
}

// changed brings places and shares up to date after a member came to or went
// from place k.
func (t *Table) changed(k int) {
	for ; k < len(t.members); k++ {
		t.place[t.members[k]] = k
	}
	t.shares = t.shares[:len(t.members)]
	t.apportion()
	t.bound.reset()
}

// apportion sets the shares of the active members by their weights. Each gets
// what lies between two rounded marks, so that the shares sum to exactly whole
// and none is off by a unit.
func (t *Table) apportion() {
	sum := 0.0
	for _, i := range t.members {
		sum += t.weights[i]
	}
	reached, mark := 0.0, int64(0)
	for k, i := range t.members {
		reached += t.weights[i]
		next := int64(reached / sum * whole)
		t.shares[k] = next - mark
		mark = next
	}
}

// spread adds a deficit to the active members by their shares, in the same way,
// so that together they get exactly that deficit.
func (t *Table) spread(deficit int64) {
	sign, size := int64(1), uint64(deficit)
	if deficit < 0 {
		sign, size = -1, uint64(-deficit)
	}
	reached, mark := int64(0), int64(0)
	for k, share := range t.shares {
		reached += share
		next := part(size, reached)
		t.deficits[k] += sign * (next - mark)
		mark = next
	}
}

// part returns size·share/whole, rounded down. The product may have 96 bits.
func part(size uint64, share int64) int64 {
	high, low := bits.Mul64(size, uint64(share))
	return int64(high<<(64-wholeBits) | low>>wholeBits)
}
