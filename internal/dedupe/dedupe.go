// Package dedupe remembers, for a while, which packets were accepted, so that
// one that an emitter sends again because it did not hear the answer is
// accepted without being delivered again.
//
// A packet is known by its ids and its content. Other content under known ids,
// as of an emitter that started anew and counts from 1 again, is another packet;
// it is counted and logged. What is kept of a packet are keyed hashes.
//
// What is remembered is bounded in time and in number: two generations, of which
// the older goes when it is too old, or when the younger is full or old. With a
// folder it is written down as it grows, so that it outlives the process; a crash
// may forget the packets of the last hundredth of a second.
package dedupe

import (
	"log/slog"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

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
	config    Config
	secret    secret
	conflicts *conflicts
	log       *log // nil: nothing is written down

	mu                sync.Mutex // guards all below
	current, previous *generation
	// inFlight has, for each pair of ids, one of the reservations, which knows the others.
	inFlight map[uint64]*Reservation
}

// State is what is known of a packet.
type State int

const (
	// New: the caller has the reservation, and must end it.
	New State = iota
	// Duplicate: the packet was accepted before, with the same content.
	Duplicate
	// InFlight: another request has the reservation for the same content; it can be
	// waited for.
	InFlight
)

// Open returns a window with what its folder remembers, as far as that can be read. It
// fails only when the folder cannot be made, or listed.
func Open(config Config, logger *slog.Logger, now time.Time) (*Window, error) {
	w := &Window{
		config: config, conflicts: newConflicts(logger),
		current: newGeneration(now), previous: newGeneration(now), inFlight: make(map[uint64]*Reservation),
	}
	if config.Dir == "" {
		w.secret = newSecret()
		return w, nil
	}
	var err error
	if w.log, err = openLog(config, logger); err != nil {
		return nil, err
	}
	w.secret = w.log.secret()
	w.log.key = w.secret
	w.log.header = w.secret.header()
	generations, err := w.log.read(now, now.Add(-2*config.Window))
	if err != nil {
		return nil, err
	}
	for _, g := range generations {
		w.previous, w.current = w.current, g
	}
	w.log.begin(w.current.born)
	return w, nil
}

// Begin asks for a packet that packet.Check accepted. When it is New or InFlight
// the reservation is returned.
func (w *Window) Begin(info packet.Info, body []byte, now time.Time) (State, *Reservation) {
	f := w.secret.fingerprint(info, body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rotateLocked(now)
	known, conflict := w.findLocked(f)
	if known {
		return Duplicate, nil
	}
	first := w.inFlight[f.ids]
	if reservation := first.with(f.content); reservation != nil {
		if reservation.done == nil {
			reservation.done = make(chan struct{})
		}
		return InFlight, reservation
	}
	reservation := &Reservation{window: w, fingerprint: f}
	switch {
	case first != nil && first.conflict != nil: // of the same ids
		reservation.conflict = first.conflict
	case first != nil || conflict:
		reservation.conflict = newConflict(info, body, now)
	}
	w.joinLocked(first, reservation)
	return New, reservation
}

// Record remembers a packet that packet.Check accepted, and reports whether it
// was known. Concurrent requests for the same packet do not wait for each other then.
func (w *Window) Record(info packet.Info, body []byte, now time.Time) (known bool) {
	f := w.secret.fingerprint(info, body)
	w.mu.Lock()
	w.rotateLocked(now)
	known, conflict := w.findLocked(f)
	if !known {
		w.addLocked(f, !conflict)
	}
	w.mu.Unlock()
	if !known && conflict {
		w.conflicts.add(newConflict(info, body, now))
	}
	return known
}

// findLocked reports whether the packet is known, and whether other content is
// known under its ids.
func (w *Window) findLocked(f fingerprint) (known, conflict bool) {
	known, conflict = w.current.find(f)
	if known {
		return true, conflict
	}
	known, before := w.previous.find(f)
	return known, conflict || before
}

// addLocked remembers a packet. When its ids are new nothing is known under them.
func (w *Window) addLocked(f fingerprint, newIDs bool) {
	if newIDs {
		w.current.latest[f.ids] = f.content // a look less than add
	} else {
		w.current.add(f)
	}
	if w.log != nil {
		w.log.add(recordOf(f))
	}
}

// rotateLocked begins another generation when it is time, and lets the older one
// go, which after a quiet time may be both at once.
func (w *Window) rotateLocked(now time.Time) {
	if now.Sub(w.current.born) >= w.config.Window || w.current.len() >= w.config.Packets {
		w.previous, w.current = w.current, newGeneration(now)
		if w.log != nil {
			w.log.rotate(now)
		}
	}
	if now.Sub(w.previous.born) >= 2*w.config.Window {
		w.previous.empty()
	}
}

// Forget makes a packet New again, so that somebody may send it once more. What
// is known of other content under its ids stays.
func (w *Window) Forget(info packet.Info, body []byte) {
	f := w.secret.fingerprint(info, body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if forget(f, w.current, w.previous) && w.log != nil {
		w.log.forget(recordOf(f))
	}
	if reservation := w.inFlight[f.ids].with(f.content); reservation != nil {
		reservation.forgotten = true
	}
}

// Conflicts returns how many packets were accepted under the ids of another one,
// with other content.
func (w *Window) Conflicts() int64 { return w.conflicts.count.Load() }

// Close writes down what is not yet; it is called once. A failure is only logged: it
// costs no more than a duplicate.
func (w *Window) Close() {
	if w.log != nil {
		w.log.close()
	}
}
