package ingest

import (
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// batch is packets of different sockets that go to the journal together, with the
// answers to send once they are stored.
type batch struct {
	loop       *loop
	candidates []candidate
	sockets    []*socket
	packets    []*packet.Packet // of candidates; owned by the journal until complete
	text       []byte           // the answers
	ends       []int            // of each answer in text
	held       int64            // bytes of the packets' memory
	err        error            // why the packets were not stored
}

// packetsPerBatch is small, so that the first packets of a large round are stored early.
const packetsPerBatch = 16

func (b *batch) add(s *socket, e candidate) {
	b.candidates, b.sockets, b.packets = append(b.candidates, e), append(b.sockets, s), append(b.packets, e.packet)
	b.held += e.packet.Footprint()
	b.loop.scratch.accept(e.packet, endOfAccepted)
	b.text = b.loop.scratch.appendTo(b.text, b.loop.manner(s.last))
	b.ends = append(b.ends, len(b.text))
}

// cut keeps the first packets and returns a batch of the others.
func (b *batch) cut(first int) *batch {
	rest := b.loop.newBatch()
	for i := first; i < len(b.candidates); i++ {
		rest.add(b.sockets[i], b.candidates[i])
	}
	b.candidates, b.sockets, b.held = b.candidates[:first], b.sockets[:first], b.held-rest.held
	return rest
}

// OnCommit implements journal.Waiter.
func (b *batch) OnCommit(err error) {
	b.err = err
	b.loop.post(b)
}

func (b *batch) handle(l *loop) { l.complete(b) }

// flush hands the pending packets to the journal.
func (l *loop) flush() {
	b := l.pending
	if len(b.candidates) == 0 {
		return
	}
	l.pending = l.newBatch()
	for len(b.candidates) > 0 {
		taken, pending, err := l.handler.deps.Journal.AppendAsync(b.packets, b)
		rest := b.cut(taken)
		if !pending {
			l.complete(b)
		}
		if err != nil {
			rest = l.rejectBatch(rest, err)
		}
		b = rest
	}
	l.spare = append(l.spare, b)
}

// rejectBatch refuses the first packet of a batch if the journal lacks capacity for
// it, or all packets if the journal takes none. It returns a batch of the packets to
// try next.
func (l *loop) rejectBatch(b *batch, err error) *batch {
	refused := len(b.candidates)
	if codeOf(err) == problem.Overloaded {
		refused = 1
	}
	rest := b.cut(refused)
	b.err = err
	l.complete(b)
	return rest
}

// complete answers the requests of a batch. The journal owns the packets, unless
// there was an error.
func (l *loop) complete(b *batch) {
	h, begin := l.handler, 0
	l.tick()
	h.bodies.free(b.held)
	for i := range b.candidates {
		e, s := &b.candidates[i], b.sockets[i]
		if b.err != nil {
			l.refuse(s, *h.rollback(e, b.err))
			e.packet.Release()
		} else {
			e.accept()
			l.write(s, b.text[begin:b.ends[i]])
		}
		begin = b.ends[i]
	}
	l.spare = append(l.spare, b)
}

func (l *loop) newBatch() *batch {
	if len(l.spare) == 0 {
		return &batch{loop: l}
	}
	b := l.spare[len(l.spare)-1]
	l.spare = l.spare[:len(l.spare)-1]
	clear(b.candidates[:cap(b.candidates)])
	clear(b.packets)
	clear(b.sockets[:cap(b.sockets)])
	*b = batch{loop: l, candidates: b.candidates[:0], sockets: b.sockets[:0], packets: b.packets[:0], text: b.text[:0], ends: b.ends[:0]}
	return b
}
