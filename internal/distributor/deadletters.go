package distributor

import "github.com/logstreamer/logstreamer/internal/deadletter"

// dedupForgettingDLQ stores dead letters, shows them to taps and removes them from the
// duplicate windows, so that they can be sent again.
type dedupForgettingDLQ struct {
	store       *deadletter.Store
	distributor *Distributor
}

// Add stores dead letters; see deadletter.Store.
func (r dedupForgettingDLQ) Add(entries []deadletter.Entry) (stored []bool) {
	stored = r.store.Add(entries)
	r.distributor.tapDeadLetters(entries, stored)
	for _, window := range r.distributor.windows() {
		for i, e := range entries {
			if stored[i] {
				window.Forget(e.Packet.Info, e.Packet.Body)
			}
		}
	}
	return stored
}
