package journal

import (
	"sync"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Submit takes packets as AppendAsync does, if there is capacity for a minimum number of them, and
// otherwise none.
type Submit func(packets []*packet.Packet, minimum int, w Waiter) (taken int, pending bool, err error)

// Appender has the Append methods of a journal whose goroutines store the packets.
type Appender struct {
	submit  Submit
	waiters sync.Pool // of syncWaiter
}

// NewAppender returns an Appender.
func NewAppender(submit Submit) *Appender {
	return &Appender{submit: submit, waiters: sync.Pool{New: func() any { return make(syncWaiter, 1) }}}
}

// syncWaiter is the Waiter of Append. It has capacity for one value.
type syncWaiter chan error

func (w syncWaiter) OnCommit(err error) { w <- err }

// Append implements Journal. The packets of one call are stored together: if that fails, none of
// them is taken.
func (a *Appender) Append(packets []*packet.Packet) (int, error) {
	return a.append(packets, 1)
}

// AppendAll implements Journal.
func (a *Appender) AppendAll(packets []*packet.Packet) error {
	_, err := a.append(packets, len(packets))
	return err
}

func (a *Appender) append(packets []*packet.Packet, minimum int) (int, error) {
	w := a.waiters.Get().(syncWaiter)
	defer a.waiters.Put(w)
	taken, pending, err := a.submit(packets, minimum, w)
	if !pending {
		return taken, err
	}
	if failure := <-w; failure != nil {
		return 0, failure
	}
	return taken, err
}

// AppendAsync implements Journal.
func (a *Appender) AppendAsync(packets []*packet.Packet, w Waiter) (taken int, pending bool, err error) {
	return a.submit(packets, 1, w)
}
