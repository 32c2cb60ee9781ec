package worker

// Signal is a channel that tells one receiver that there may be work, however often it was
// notified since it received the last value.
type Signal chan struct{}

// NewSignal returns a signal without a value.
func NewSignal() Signal { return make(Signal, 1) }

// Notify gives the channel a value if it has none. It does not wait.
func (s Signal) Notify() {
	select {
	case s <- struct{}{}:
	default:
	}
}
