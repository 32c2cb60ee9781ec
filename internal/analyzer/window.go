package analyzer

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// window remembers which packets came lately. It holds at most as many as its
// limit and none longer than its age; within both, a repeat is always found.
// It may be used concurrently.
type window struct {
	age time.Duration

	mu sync.Mutex
	// known and arrivals hold the same packets; guarded by mu.
	known    map[fingerprint]struct{}
	arrivals []arrival // a ring of the last len(known) packets
	oldest   int       // index of the oldest in the ring
}

type arrival struct {
	packet fingerprint
	at     time.Duration // since the start
}

// fingerprint stands for an emitter's id and a packet's id. Its 128 bits are
// cut from SHA-256, so that a packet is never taken for another one.
type fingerprint [16]byte

func newWindow(limit int, age time.Duration) *window {
	return &window{
		age:      age,
		known:    make(map[fingerprint]struct{}),
		arrivals: make([]arrival, limit),
	}
}

// firstTime tells whether the packet is not in the window, and puts it there.
// Times of concurrent calls may be a little out of order.
func (w *window) firstTime(packet fingerprint, at time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.known) > 0 && at-w.arrivals[w.oldest].at > w.age {
		w.forgetOldest()
	}
	if _, repeated := w.known[packet]; repeated {
		return false
	}
	if len(w.known) == len(w.arrivals) {
		w.forgetOldest()
	}
	next := (w.oldest + len(w.known)) % len(w.arrivals)
	w.arrivals[next] = arrival{packet, at}
	w.known[packet] = struct{}{}
	return true
}

func (w *window) forgetOldest() {
	delete(w.known, w.arrivals[w.oldest].packet)
	w.oldest = (w.oldest + 1) % len(w.arrivals)
}

// fingerprintOf takes the ids one after the other in one buffer, as decoded
// text; emitterLength tells them apart.
func fingerprintOf(ids []byte, emitterLength int) fingerprint {
	ids = binary.BigEndian.AppendUint32(ids, uint32(emitterLength))
	sum := sha256.Sum256(ids)
	return fingerprint(sum[:len(fingerprint{})])
}
