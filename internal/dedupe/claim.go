package dedupe

// Claim is the right and the duty of one request to say what becomes of a
// packet.
type Claim struct {
	window *Window
	fingerprint
	refusal error // set before done is closed

	// Below is guarded by the window's mu.
	forgotten bool
	done      chan struct{}     // nil while nobody waits
	others    map[uint64]*Claim // under the same ids, by content; nil but in the one that underway has
	conflict  *conflict         // unless nil, other content is known or underway under the same ids
}

// with returns the claim for a content among this one and the others.
func (c *Claim) with(content uint64) *Claim {
	if c == nil || c.content == content {
		return c
	}
	return c.others[content]
}

// joinLocked puts a claim beside the first one for its ids, if there is one.
// Whichever is accepted later is in conflict with the other.
func (w *Window) joinLocked(first, claim *Claim) {
	if first == nil {
		w.underway[claim.ids] = claim
		return
	}
	if first.others == nil {
		first.others = make(map[uint64]*Claim)
	}
	first.others[claim.content] = claim
	if first.conflict == nil {
		first.conflict = claim.conflict
	}
}

// leaveLocked takes a claim away. If it was the first one for its ids another
// takes its place.
func (w *Window) leaveLocked(claim *Claim) {
	first := w.underway[claim.ids]
	if first != claim {
		delete(first.others, claim.content)
		return
	}
	for content, next := range claim.others {
		delete(claim.others, content)
		next.others, claim.others = claim.others, nil
		w.underway[claim.ids] = next
		return
	}
	delete(w.underway, claim.ids)
}

// End says what became of the packet: nil when it was accepted, else why it was
// not. It is called once, by the holder.
func (c *Claim) End(refusal error) {
	c.window.conflicts.add(c.end(refusal))
}

// end returns the conflict if the packet was accepted and other content is
// known under its ids.
func (c *Claim) end(refusal error) (found *conflict) {
	w := c.window
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaveLocked(c)
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

// Wait waits for the holder and returns what it said to End. It is for those
// whom Begin told that the packet is Underway.
func (c *Claim) Wait() error {
	<-c.done
	return c.refusal
}
