// Package fairroom shares a bounded room among emitters while it fills up, so
// that one that sends more than fits is refused before the others are.
//
// While more than one emitter is there, each may hold Factor times what is free
// (dynamic thresholds; A. K. Choudhury and E. L. Hahne, "Dynamic queue length
// thresholds for shared-memory packet switches", 1998): one that presses gets
// Factor/(1+Factor) of the room, k that press get equal parts of nearly all of
// it, and one that holds little always finds some. One alone may have it all.
package fairroom

import (
	"hash/maphash"
	"time"
)

// Factor is how many times what is free an emitter may hold.
const Factor = 8

// slots is the number of groups that emitters fall into by their hash. Two in
// one slot share what it may hold, which with a few hundred emitters is rare.
const slots = 1 << 12

// memory is for how long, at least, an emitter counts as being there.
const memory = 5 * time.Second

var seed = maphash.MakeSeed()

// SlotOf returns the slot of an emitter, whose id is given without JSON escapes.
func SlotOf(emitterID []byte) uint16 { return uint16(maphash.Bytes(seed, emitterID) % slots) }

// Presence knows which emitters sent lately. The zero value is ready. It must
// not be used concurrently.
type Presence struct {
	began      time.Time // of the first generation; the monotonic time since counts
	generation int64     // of memory's length, from 1
	seen       [slots]int64
	now, last  int // slots seen in this generation and in the one before
}

// Note says that a slot sends something now.
func (p *Presence) Note(slot uint16, now time.Time) {
	if p.began.IsZero() {
		p.began = now
	}
	generation := 1 + int64(now.Sub(p.began)/memory)
	if generation > p.generation {
		p.last = 0
		if generation == p.generation+1 {
			p.last = p.now
		}
		p.generation, p.now = generation, 0
	}
	if p.seen[slot] < p.generation {
		p.seen[slot] = p.generation
		p.now++
	}
}

// Many tells whether more than one slot sent something lately.
func (p *Presence) Many() bool { return max(p.now, p.last) > 1 }

// Room keeps what each slot holds, in whatever unit the caller counts. The zero
// value is empty. It must not be used concurrently.
type Room struct {
	held [slots]int64
}

// Admits tells whether the slot may hold that much more when so much is free,
// and whether others are there to leave some to.
func (r *Room) Admits(slot uint16, amount, free int64, others bool) bool {
	if amount > free {
		return false
	}
	return !others || r.held[slot]+amount <= Factor*(free-amount)+amount
}

// Add notes that a slot holds more, or, with a negative amount, less.
func (r *Room) Add(slot uint16, amount int64) { r.held[slot] += amount }
