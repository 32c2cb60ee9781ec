// Package dedupe detects packets that were accepted before, so that a packet that an
// emitter sends again after a lost response is not delivered again.
//
// A packet is identified by its ids and its content, of which the window stores keyed
// hashes. Other content under known ids, such as from an emitter that restarted and
// counts from 1 again, is another packet; it is counted and logged.
//
// The window is bounded in time and in number by two generations. With a directory it
// survives the process; a crash may lose the packets of the last writeDelay.
package dedupe

import (
	"log/slog"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Config holds the limits of a window.
type Config struct {
	// Window is the minimum time for which packets are known, unless Packets is
	// exceeded. The maximum is twice that.
	Window time.Duration
	// Packets is the size of a generation; a packet takes about 40 bytes.
	Packets int
	// Dir is the directory of the log; empty: the window is in memory only.
	Dir string
}

// Window is the set of known packets. It may be used concurrently.
type Window struct {
	config    Config
	secret    secret
	conflicts *conflicts
	log       *log // nil: the window is in memory only

	mu                sync.Mutex // guards all below
	current, previous *generation
	// inFlight has the first reservation of each pair of ids, which has the others.
	inFlight map[uint64]*Reservation
}

// State is the state of a packet in a window.
type State int

const (
	// New means that the caller has the reservation and must end it.
	New State = iota
	// Duplicate means that the packet was accepted before, with the same content.
	Duplicate
	// InFlight means that another request has the reservation for the same content; the
	// caller may wait for it.
	InFlight
)

// Open returns a window with the readable packets of its directory. It fails only if the
// directory cannot be created or listed.
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
	w.log.start(w.current.startedAt)
	return w, nil
}

// Begin returns the state of a valid packet, and the reservation if it is New or InFlight.
// The principal is the authenticated name of the emitter, or empty: equal packets of two
// principals are different. The content is that of Packet.Content, or empty.
func (w *Window) Begin(principal string, info packet.Info, body []byte, content string, now time.Time) (State, *Reservation) {
	f := w.secret.fingerprint(principal, info, body, content)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rotateLocked(now)
	known, conflict := w.findLocked(f)
	if known {
		return Duplicate, nil
	}
	first := w.inFlight[f.ids]
	if reservation := first.find(f.content); reservation != nil {
		if reservation.done == nil {
			reservation.done = make(chan struct{})
		}
		return InFlight, reservation
	}
	reservation := &Reservation{window: w, fingerprint: f}
	switch {
	case first != nil && first.conflict != nil:
		reservation.conflict = first.conflict
	case first != nil || conflict:
		reservation.conflict = newConflict(info, body, now)
	}
	w.addReservationLocked(first, reservation)
	return New, reservation
}

// Record adds a valid packet and reports whether it was known. It makes no reservation, so
// that concurrent requests for the same packet do not wait for each other.
func (w *Window) Record(info packet.Info, body []byte, now time.Time) (known bool) {
	f := w.secret.fingerprint("", info, body, "")
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

// findLocked reports whether the packet is known, and whether its ids are known with other
// content.
func (w *Window) findLocked(f fingerprint) (known, conflict bool) {
	known, conflict = w.current.find(f)
	if known {
		return true, conflict
	}
	known, before := w.previous.find(f)
	return known, conflict || before
}

// addLocked adds a packet; newIDs means that its ids are not in the window with other content.
func (w *Window) addLocked(f fingerprint, newIDs bool) {
	if newIDs {
		w.current.latest.set(f.ids, f.content) // saves the lookup of add
	} else {
		w.current.add(f)
	}
	if w.log != nil {
		w.log.append(recordOf(f))
	}
}

// rotateLocked begins a generation if the current one is full or older than Window, and
// clears a previous one that is older than twice Window.
func (w *Window) rotateLocked(now time.Time) {
	if now.Sub(w.current.startedAt) >= w.config.Window || w.current.len() >= w.config.Packets {
		w.previous, w.current = w.current, newGeneration(now)
		if w.log != nil {
			w.log.rotate(now)
		}
	}
	if now.Sub(w.previous.startedAt) >= 2*w.config.Window {
		w.previous.clear()
	}
}

// Forget makes a packet New again, such as a dead letter that is to be sent again. Other
// content under its ids stays known.
func (w *Window) Forget(p *packet.Packet) {
	f := w.secret.fingerprint(p.Principal, p.Info, p.Body, p.Content)
	w.mu.Lock()
	defer w.mu.Unlock()
	if forget(f, w.current, w.previous) && w.log != nil {
		w.log.forget(recordOf(f))
	}
	if reservation := w.inFlight[f.ids].find(f.content); reservation != nil {
		reservation.forgotten = true
	}
}

// Conflicts returns the number of packets that were accepted with known ids and other
// content.
func (w *Window) Conflicts() int64 { return w.conflicts.count.Load() }

// Dropped returns the number of records that were not stored, because the files could not be
// written for too long. The window forgets their packets at the next start.
func (w *Window) Dropped() int64 {
	if w.log == nil {
		return 0
	}
	return w.log.dropped.Load()
}

// Close writes pending records. It must be called once. A failure is only logged, as it
// causes only duplicates.
func (w *Window) Close() {
	if w.log != nil {
		w.log.close()
	}
}
