// Package dedupe remembers, for a while, which packets were accepted, so that
// one that an emitter sends again because it did not hear the answer is
// accepted without being delivered again.
//
// A packet is known by its ids. What is remembered is bounded in time and in
// number: two generations, of which the older goes when the younger is full or
// old. With a folder it is written down as it grows, so that it outlives the
// process; a crash may forget the packets of the last moment.
package dedupe

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Key stands for an (emitter_id, packet_id) pair: 128 bits of SHA-256, so that
// nobody can make two pairs look alike.
type Key [16]byte

// KeyOf returns the key of two ids, decoded. The length of the first keeps
// pairs apart that only join to the same text.
func KeyOf(emitterID, packetID []byte) Key {
	var room [512]byte
	text := binary.AppendUvarint(room[:0], uint64(len(emitterID)))
	text = append(text, emitterID...)
	text = append(text, packetID...)
	sum := sha256.Sum256(text)
	return Key(sum[:16])
}

// Config bounds what is remembered.
type Config struct {
	// Window is for how long, at least, as long as Packets allows: up to twice
	// as long.
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

	mu       sync.Mutex // guards all below
	young    map[Key]struct{}
	old      map[Key]struct{}
	born     time.Time // of young
	underway map[Key]*Claim
}

// Claim is the right and the duty of one request to say what becomes of a
// packet.
type Claim struct {
	window *Window
	key    Key
	done   chan struct{}
	taken  bool // set before done is closed
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

// Open returns a window with what its folder remembers.
func Open(config Config, now time.Time) (*Window, error) {
	w := &Window{config: config, born: now, young: make(map[Key]struct{}), old: make(map[Key]struct{}), underway: make(map[Key]*Claim)}
	if config.Dir == "" {
		return w, nil
	}
	var err error
	w.log, err = openLog(config.Dir)
	if err != nil {
		return nil, err
	}
	return w, w.recall(now)
}

// recall reads back the generations that are young enough.
func (w *Window) recall(now time.Time) error {
	generations, err := w.log.read(now.Add(-2*w.config.Window), w.config.Packets)
	if err != nil {
		return err
	}
	for _, g := range generations {
		w.old, w.young, w.born = w.young, g.keys, g.born
	}
	return w.log.begin(w.born)
}

// Begin asks for a packet. When it is New or Underway the claim is returned.
func (w *Window) Begin(key Key, now time.Time) (State, *Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turnLocked(now)
	if _, ok := w.young[key]; ok {
		return Known, nil
	}
	if _, ok := w.old[key]; ok {
		return Known, nil
	}
	if claim, ok := w.underway[key]; ok {
		return Underway, claim
	}
	claim := &Claim{window: w, key: key, done: make(chan struct{})}
	w.underway[key] = claim
	return New, claim
}

// turnLocked lets the older generation go when it is time.
func (w *Window) turnLocked(now time.Time) {
	if now.Sub(w.born) < w.config.Window && len(w.young) < w.config.Packets {
		return
	}
	w.old, w.young, w.born = w.young, make(map[Key]struct{}), now
	if w.log != nil {
		w.log.turn(now)
	}
}

// End says whether the packet was accepted. It is called once, by the holder.
func (c *Claim) End(accepted bool) {
	w := c.window
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.underway, c.key)
	if accepted {
		w.young[c.key] = struct{}{}
		if w.log != nil {
			w.log.add(c.key)
		}
	}
	c.taken = accepted
	close(c.done)
}

// Wait waits for the holder and reports whether the packet was accepted.
func (c *Claim) Wait() bool {
	<-c.done
	return c.taken
}

// Len returns how many packets are remembered.
func (w *Window) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.young) + len(w.old)
}

// Close writes down what is not yet.
func (w *Window) Close() error {
	if w.log == nil {
		return nil
	}
	return w.log.close()
}
