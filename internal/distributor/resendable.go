package distributor

import "github.com/logstreamer/logstreamer/internal/deadletter"

// resendable keeps dead letters that can be sent again at once: they are no
// duplicates of themselves.
type resendable struct {
	letters     *deadletter.Letters
	distributor *Distributor
}

// Keep keeps dead letters; see deadletter.Letters.
func (r resendable) Keep(letters []deadletter.Letter) (ended, unwritten []deadletter.Letter) {
	ended, unwritten = r.letters.Keep(letters)
	if window := r.distributor.duplicates; window != nil {
		for _, l := range ended {
			window.Forget(l.Packet.Info, l.Packet.Body)
		}
	}
	return ended, unwritten
}
