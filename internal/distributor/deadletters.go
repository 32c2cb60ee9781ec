package distributor

import "github.com/logstreamer/logstreamer/internal/deadletter"

// resendable keeps dead letters that can be sent again at once: they are no
// duplicates of themselves.
type dedupForgettingDLQ struct {
	store       *deadletter.Store
	distributor *Distributor
}

// Add stores dead letters; see deadletter.Store.
func (r dedupForgettingDLQ) Add(entries []deadletter.Entry) (stored []bool) {
	stored = r.store.Add(entries)
	if window := r.distributor.duplicates; window != nil {
		for i, e := range entries {
			if stored[i] {
				window.Forget(e.Packet.Info, e.Packet.Body)
			}
		}
	}
	return stored
}
