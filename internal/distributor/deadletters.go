package distributor

import "github.com/logstreamer/logstreamer/internal/deadletter"

// deadLetterRecorder stores dead letters, shows them to taps and removes their packets from the
// duplicate windows, so that the packets can be sent again. A packet of a principal that was read
// from disk stays in the window, since the journal does not keep the name of the principal.
type deadLetterRecorder struct {
	store       *deadletter.Store
	distributor *Distributor
}

// Add stores dead letters, whose packets it owns; see deadletter.Store.
func (r deadLetterRecorder) Add(entries []deadletter.Entry) (stored []bool) {
	for _, e := range entries {
		e.Packet.Complete()
	}
	stored = r.store.Add(entries)
	r.distributor.tapDeadLetters(entries, stored)
	for _, window := range r.distributor.windows() {
		for i, e := range entries {
			if stored[i] {
				window.Forget(e.Packet)
			}
		}
	}
	return stored
}
