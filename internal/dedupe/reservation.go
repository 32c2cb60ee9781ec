package dedupe

// Reservation is the right and the duty of one request to say what becomes of a
// packet.
type Reservation struct {
	window *Window
	fingerprint
	refusal error // set before done is closed

	// Below is guarded by the window's mu.
	forgotten bool
	done      chan struct{}           // nil while nobody waits
	siblings  map[uint64]*Reservation // under the same ids, by content; nil but in the one that inFlight has
	conflict  *conflict               // unless nil, other content is known or inFlight under the same ids
}

// with returns the reservation for a content among this one and the others.
func (c *Reservation) find(content uint64) *Reservation {
	if c == nil || c.content == content {
		return c
	}
	return c.siblings[content]
}

// joinLocked puts a reservation beside the first one for its ids, if there is one.
// Whichever is accepted later is in conflict with the other.
func (w *Window) addReservationLocked(first, reservation *Reservation) {
	if first == nil {
		w.inFlight[reservation.ids] = reservation
		return
	}
	if first.siblings == nil {
		first.siblings = make(map[uint64]*Reservation)
	}
	first.siblings[reservation.content] = reservation
	if first.conflict == nil {
		first.conflict = reservation.conflict
	}
}

// leaveLocked takes a reservation away. If it was the first one for its ids another
// takes its place.
func (w *Window) removeReservationLocked(reservation *Reservation) {
	first := w.inFlight[reservation.ids]
	if first != reservation {
		delete(first.siblings, reservation.content)
		return
	}
	for content, next := range reservation.siblings {
		delete(reservation.siblings, content)
		next.siblings, reservation.siblings = reservation.siblings, nil
		w.inFlight[reservation.ids] = next
		return
	}
	delete(w.inFlight, reservation.ids)
}

// End says what became of the packet: nil when it was accepted, else why it was
// not. It is called once, by the holder.
func (c *Reservation) End(refusal error) {
	c.window.conflicts.add(c.end(refusal))
}

// end returns the conflict if the packet was accepted and other content is
// known under its ids.
func (c *Reservation) end(refusal error) (found *conflict) {
	w := c.window
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removeReservationLocked(c)
	if refusal == nil && c.conflict != nil {
		if _, conflict := w.findLocked(c.fingerprint); conflict {
			found = c.conflict
		}
	}
	if refusal == nil && !c.forgotten {
		w.addLocked(c.fingerprint, c.conflict == nil)
	}
	c.refusal = refusal
	if c.done != nil {
		close(c.done)
	}
	return found
}

// Wait waits until the holder calls End, and returns the argument of that call. It
// is for a Reservation that Begin returned with InFlight.
func (c *Reservation) Wait() error {
	<-c.done
	return c.refusal
}
