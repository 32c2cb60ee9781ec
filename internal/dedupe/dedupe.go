// Package dedupe remembers, for a while, which packets were accepted, so that
// one that an emitter sends again because it did not hear the answer is
// accepted without being delivered again.
//
// A packet is known by its ids. What is remembered is bounded in time and in
// number: two generations, of which the older goes when it is too old, or when
// the younger is full or old. With a folder it is written down as it grows, so
// that it outlives the process; a crash may forget the packets of the last
// hundredth of a second.
package dedupe

import (
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"
)

// Key stands for an (emitter_id, packet_id) pair: 127 bits of SHA-256, so that
// nobody can make two pairs look alike. The first bit is 0.
type Key [16]byte

// forgottenBit marks a key that is written down when its packet is forgotten.
const forgottenBit = 0x80

// KeyOf returns the key of two ids, decoded. The length of the first keeps
// pairs apart that only join to the same text.
func KeyOf(emitterID, packetID []byte) Key {
	var room [512]byte
	text := binary.AppendUvarint(room[:0], uint64(len(emitterID)))
	text = append(text, emitterID...)
	text = append(text, packetID...)
	sum := sha256.Sum256(text)
	key := Key(sum[:16])
	key[0] &^= forgottenBit
	return key
}

// Config bounds what is remembered.
type Config struct {
	// Window is for how long, at least, as long as Packets allows; never is it
	// longer than twice that.
	Window time.Duration
	// Packets is how many a generation holds; each takes about 40 bytes.
	Packets int
	// Dir is where it is written down; empty: nowhere.
	Dir string
}

// Window is what is remembered. It may be used concurrently.
type Window struct {
	config Config
	log    *log // nil: nothing is written down

	mu         sync.Mutex // guards all below
	young, old generation
	underway   map[Key]*Claim
}

// generation is what was accepted since it was born, until the next one was.
type generation struct {
	born time.Time
	keys map[Key]struct{}
}

// forget reports whether any of the generations knew the key.
func forget(key Key, generations ...generation) (known bool) {
	for _, g := range generations {
		if _, ok := g.keys[key]; ok {
			delete(g.keys, key)
			known = true
		}
	}
	return known
}

func newGeneration(born time.Time) generation {
	return generation{born: born, keys: make(map[Key]struct{})}
}

// Claim is the right and the duty of one request to say what becomes of a
// packet.
type Claim struct {
	window    *Window
	key       Key
	forgotten bool          // guarded by the window's mu
	done      chan struct{} // nil while nobody waits; guarded by the window's mu
	refusal   error         // set before done is closed
}

// State is what is known of a packet.
type State int

const (
	// New: the caller has the claim, and must end it.
	New State = iota
	// Known: the packet was accepted before.
	Known
	// Underway: another request has the claim; it can be waited for.
	Underway
)

// Open returns a window with what its folder remembers, as far as that can be read. It
// fails only when the folder cannot be made, or listed.
func Open(config Config, logger *slog.Logger, now time.Time) (*Window, error) {
	w := &Window{config: config, young: newGeneration(now), underway: make(map[Key]*Claim)}
	if config.Dir == "" {
		return w, nil
	}
	var err error
	if w.log, err = openLog(config, logger); err != nil {
		return nil, err
	}
	generations, err := w.log.read(now, now.Add(-2*config.Window))
	if err != nil {
		return nil, err
	}
	for _, g := range generations {
		w.old, w.young = w.young, g
	}
	w.log.begin(w.young.born)
	return w, nil
}

// Begin asks for a packet. When it is New or Underway the claim is returned.
func (w *Window) Begin(key Key, now time.Time) (State, *Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turnLocked(now)
	if _, ok := w.young.keys[key]; ok {
		return Known, nil
	}
	if _, ok := w.old.keys[key]; ok {
		return Known, nil
	}
	if claim, ok := w.underway[key]; ok {
		if claim.done == nil {
			claim.done = make(chan struct{})
		}
		return Underway, claim
	}
	claim := &Claim{window: w, key: key}
	w.underway[key] = claim
	return New, claim
}

// turnLocked begins another generation when it is time, and lets the older one
// go, which after a quiet time may be both at once.
func (w *Window) turnLocked(now time.Time) {
	if now.Sub(w.young.born) >= w.config.Window || len(w.young.keys) >= w.config.Packets {
		w.old, w.young = w.young, newGeneration(now)
		if w.log != nil {
			w.log.turn(now)
		}
	}
	if now.Sub(w.old.born) >= 2*w.config.Window {
		w.old.keys = nil
	}
}

// End says what became of the packet: nil when it was accepted, else why it was
// not. It is called once, by the holder.
func (c *Claim) End(refusal error) {
	w := c.window
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.underway, c.key)
	if refusal == nil && !c.forgotten {
		w.young.keys[c.key] = struct{}{}
		if w.log != nil {
			w.log.add(c.key)
		}
	}
	c.refusal = refusal
	if c.done != nil {
		close(c.done)
	}
}

// Wait waits for the holder and returns what it said to End. It is for those
// whom Begin told that the packet is Underway.
func (c *Claim) Wait() error {
	<-c.done
	return c.refusal
}

// Forget makes a packet New again, so that somebody may send it once more.
func (w *Window) Forget(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if forget(key, w.young, w.old) && w.log != nil {
		w.log.forget(key)
	}
	if claim, ok := w.underway[key]; ok {
		claim.forgotten = true
	}
}

// Len returns how many packets are remembered.
func (w *Window) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.young.keys) + len(w.old.keys)
}

// Close writes down what is not yet; it is called once. A failure is only logged: it
// costs no more than a duplicate.
func (w *Window) Close() {
	if w.log != nil {
		w.log.close()
	}
}
