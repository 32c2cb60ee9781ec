package dedupe

// Reservation makes one request responsible for accepting or refusing a packet.
type Reservation struct {
	window *Window
	fingerprint
	refusal error // set before done is closed

	// Window.mu guards the following fields.
	forgotten bool
	done      chan struct{}           // nil without waiters
	siblings  map[uint64]*Reservation // under the same ids, by content; nil but in the one that inFlight has
	conflict  *conflict               // unless nil, other content is known or inFlight under the same ids
}

// find returns the reservation for a content among this one and its siblings.
func (r *Reservation) find(content uint64) *Reservation {
	if r == nil || r.content == content {
		return r
	}
	return r.siblings[content]
}

// addReservationLocked adds a reservation to the first one of its ids, if there is one. The
// one that is accepted later conflicts with the other.
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

// removeReservationLocked removes a reservation. A sibling replaces the first one of its
// ids.
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

// End ends the reservation; refusal is nil if the packet was accepted. The holder must call
// it once.
func (r *Reservation) End(refusal error) {
	r.window.conflicts.add(r.end(refusal))
}

// end returns the conflict of an accepted packet, or nil.
func (r *Reservation) end(refusal error) (found *conflict) {
	w := r.window
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removeReservationLocked(r)
	if refusal == nil && r.conflict != nil {
		if _, conflict := w.findLocked(r.fingerprint); conflict {
			found = r.conflict
		}
	}
	if refusal == nil && !r.forgotten {
		w.addLocked(r.fingerprint, r.conflict == nil)
	}
	r.refusal = refusal
	if r.done != nil {
		close(r.done)
	}
	return found
}

// Wait waits for the holder's call of End and returns its argument. It is for reservations
// that Begin returned as InFlight.
func (r *Reservation) Wait() error {
	<-r.done
	return r.refusal
}
