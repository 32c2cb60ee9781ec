package distributor

import (
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/tap"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Tap opens a tap; see tap.Hub. It may be called concurrently.
func (d *Distributor) Tap(options tap.Options) (*tap.Tap, error) { return d.taps.Open(options) }

// Senders returns up to top emitters with the largest parts of the messages that were accepted
// lately. It is an estimate, for which packets are sampled only while it is asked for. It may be
// called concurrently.
func (d *Distributor) Senders(top int) []tap.Sender { return d.senders.Top(top, time.Now()) }

// sourceOf returns a packet at a stage, owned by the caller and complete.
func sourceOf(stage tap.Stage, analyzer string, p *packet.Packet) tap.Source {
	p.Complete()
	return tap.Source{Stage: stage, Analyzer: analyzer, Body: p.Body, Info: p.Info}
}

// tappedJournal shows accepted packets to taps. It captures them before the journal takes them,
// because their owner may have released them when the journal answers.
type tappedJournal struct {
	journal.Journal
	taps *tap.Hub
}

func (j tappedJournal) capture(packets []*packet.Packet) *tap.Captured {
	captured := new(tap.Captured)
	for i, p := range packets {
		j.taps.Capture(captured, i, sourceOf(tap.Accepted, "", p))
	}
	return captured
}

// Append implements journal.Journal.
func (j tappedJournal) Append(packets []*packet.Packet) (taken int, err error) {
	if !j.taps.Active() {
		return j.Journal.Append(packets)
	}
	captured := j.capture(packets)
	taken, err = j.Journal.Append(packets)
	captured.Emit(taken)
	return taken, err
}

// AppendAll implements journal.Journal.
func (j tappedJournal) AppendAll(packets []*packet.Packet) error {
	if !j.taps.Active() {
		return j.Journal.AppendAll(packets)
	}
	captured := j.capture(packets)
	err := j.Journal.AppendAll(packets)
	if err == nil {
		captured.Emit(len(packets))
	}
	return err
}

// AppendAsync implements journal.Journal.
func (j tappedJournal) AppendAsync(packets []*packet.Packet, w journal.Waiter) (taken int, pending bool, err error) {
	if !j.taps.Active() {
		return j.Journal.AppendAsync(packets, w)
	}
	waiter := &tappedWaiter{waiter: w, captured: j.capture(packets)}
	taken, pending, err = j.Journal.AppendAsync(packets, waiter)
	waiter.taken = taken
	if !pending {
		waiter.captured.Emit(taken)
		return taken, pending, err
	}
	waiter.complete()
	return taken, pending, err
}

// tappedWaiter shows packets to taps when they are committed and their number is known; the commit
// may come before AppendAsync returns.
type tappedWaiter struct {
	waiter   journal.Waiter
	captured *tap.Captured
	taken    int
	err      error
	known    atomic.Int32 // of taken and err
}

// OnCommit implements journal.Waiter.
func (w *tappedWaiter) OnCommit(err error) {
	w.err = err
	w.complete()
	w.waiter.OnCommit(err)
}

func (w *tappedWaiter) complete() {
	if w.known.Add(1) == 2 && w.err == nil {
		w.captured.Emit(w.taken)
	}
}

// tappedSettler shows delivered packets to taps.
type tappedSettler struct {
	upstream.Settler
	taps *tap.Hub
}

// Delivered implements upstream.Settler.
func (s tappedSettler) Delivered(analyzer string, deliveries []upstream.Delivery) {
	emit(s.taps, tap.Delivered, analyzer, deliveries)
	s.Settler.Delivered(analyzer, deliveries)
}

// emit shows packets of an analyzer to taps.
func emit(taps *tap.Hub, stage tap.Stage, analyzer string, deliveries []upstream.Delivery) {
	if !taps.Active() {
		return
	}
	for i := range deliveries {
		taps.Emit(sourceOf(stage, analyzer, deliveries[i].Packet))
	}
}

// tapDeadLetters shows new dead letters to taps.
func (d *Distributor) tapDeadLetters(entries []deadletter.Entry, stored []bool) {
	if !d.taps.Active() {
		return
	}
	for i, e := range entries {
		if stored[i] {
			source := sourceOf(tap.DeadLettered, e.Analyzer, e.Packet)
			source.Reason, source.Detail = e.Reason, e.Detail
			d.taps.Emit(source)
		}
	}
}

// tapRefusal shows a refused packet to taps.
func (d *Distributor) tapRefusal(info packet.Info, body []byte, why intake.RefusedPacket) {
	if d.taps.Active() {
		d.taps.Emit(tap.Source{Stage: tap.Refused, Reason: why.Reason, Detail: why.Detail, Body: body, Info: info, PacketID: why.PacketID})
	}
}
