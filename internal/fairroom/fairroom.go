// Package fairroom shares a bounded room among emitters while it fills up, so
// that one that sends more than fits is refused before the others are.
//
// Each emitter may hold Factor times what is free (dynamic thresholds; A. K.
// Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory
// packet switches", 1998). One emitter alone gets Factor/(1+Factor) of the room;
// k that press get equal parts of nearly all of it; and one that holds little
// always finds some. Nobody has to be counted as present or gone.
package fairroom

import "hash/maphash"

// Factor is how many times what is free an emitter may hold.
const Factor = 8

// slots is the number of groups that emitters fall into by their hash. Two in
// one slot share what it may hold, which with a few hundred emitters is rare.
const slots = 1 << 12

// Room keeps what each slot holds, in whatever unit the caller counts. It must
// not be used concurrently.
type Room struct {
	seed maphash.Seed
	held [slots]int64
}

// New returns an empty room.
func New() *Room { return &Room{seed: maphash.MakeSeed()} }

// Slot returns an emitter's slot. It may be called concurrently.
func (r *Room) Slot(emitterID []byte) uint16 {
	return uint16(maphash.Bytes(r.seed, emitterID) % slots)
}

// Admits tells whether the slot may hold that much more when so much is free.
func (r *Room) Admits(slot uint16, amount, free int64) bool {
	return amount <= free && r.held[slot]+amount <= Factor*(free-amount)+amount
}

// Add notes that a slot holds more, or, with a negative amount, less.
func (r *Room) Add(slot uint16, amount int64) { r.held[slot] += amount }
