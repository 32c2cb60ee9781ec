// Package emitterquota limits how much of a shared capacity each emitter may
// hold, so that an emitter that sends more than fits is refused before others.
//
// While several emitters are active, each may hold Factor times the free
// capacity (dynamic thresholds; A. K. Choudhury and E. L. Hahne, "Dynamic queue
// length thresholds for shared-memory packet switches", 1998): one overloading
// emitter gets Factor/(1+Factor) of the capacity, k of them get equal parts of
// nearly all of it, and an emitter that holds little is always admitted. A single
// active emitter may use all of the capacity.
package emitterquota

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Factor is the ratio of what an emitter may hold to the free capacity.
const Factor = 8

// slots is the number of hash slots that emitters map to. Emitters in one slot
// share its quota, which with a few hundred emitters is rare.
const slots = 1 << 12

// activeWindow is the minimum time for which an emitter counts as active.
const activeWindow = 5 * time.Second

// Tag stands for a principal: that of one name is always the same, also in another process, so
// that journals can keep it. Two principals rarely have the same one. It is 0 for none.
type Tag uint8

// TagOf returns the tag of a principal or, if that is empty, of none.
func TagOf(principal string) Tag {
	if principal == "" {
		return 0
	}
	const offset, prime = 2166136261, 16777619 // FNV-1a
	hash := uint32(offset)
	for i := range len(principal) {
		hash = (hash ^ uint32(principal[i])) * prime
	}
	return Tag(1 + hash%255)
}

// SlotOf returns the slot of a packet's emitter, of a principal with the tag.
func SlotOf(tag Tag, p *packet.Packet) uint16 {
	const spread = 0x9E37 // odd, so that the tags of one emitter have different slots
	return uint16((p.IDs()>>32 ^ uint64(tag)*spread) % slots)
}

// Activity tracks which slots sent lately. The zero value is ready. It must not
// be used concurrently.
type Activity struct {
	start             time.Time // of generation 1, with its monotonic reading
	generation        int64     // number of the current activeWindow, from 1
	lastSeen          [slots]int64
	current, previous int // active slots in this generation and in the one before
}

// Record counts a slot as active at now.
func (a *Activity) Record(slot uint16, now time.Time) {
	if a.start.IsZero() {
		a.start = now
	}
	generation := 1 + int64(now.Sub(a.start)/activeWindow)
	if generation > a.generation {
		a.previous = 0
		if generation == a.generation+1 {
			a.previous = a.current
		}
		a.generation, a.current = generation, 0
	}
	if a.lastSeen[slot] < a.generation {
		a.lastSeen[slot] = a.generation
		a.current++
	}
}

// Contended reports whether more than one slot was active lately.
func (a *Activity) Contended() bool { return max(a.current, a.previous) > 1 }

// Quota tracks what each slot holds, in a unit of the caller's choice. The zero
// value is empty. It must not be used concurrently.
type Quota struct {
	held [slots]int64
}

// Admits reports whether a slot may hold amount more of the free capacity.
// Without contention the free capacity is the only limit.
func (q *Quota) Admits(slot uint16, amount, free int64, contended bool) bool {
	if amount > free {
		return false
	}
	return !contended || q.held[slot]+amount <= Factor*(free-amount)+amount
}

// Add changes what a slot holds by amount, which may be negative.
func (q *Quota) Add(slot uint16, amount int64) { q.held[slot] += amount }

// Subtract subtracts what each slot holds in another quota.
func (q *Quota) Subtract(other *Quota) {
	for slot, held := range other.held {
		q.held[slot] -= held
	}
}
