package ingest

import (
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// flight is packets of different sockets on their way to the journal together,
// with the answers for when they are there.
type flight struct {
	loop     *loop
	entrants []entrant
	sockets  []*socket
	packets  []*packet.Packet // theirs; the journal's until it has landed
	text     []byte           // the answers
	ends     []int            // of each in text
	held     int64            // bytes of memory of the packets
	err      error            // why it was not stored
}

// packetsPerFlight is small, so that the first of many need not wait for all.
const packetsPerFlight = 16

func (f *flight) add(s *socket, e entrant) {
	f.entrants, f.sockets, f.packets = append(f.entrants, e), append(f.sockets, s), append(f.packets, e.packet)
	f.held += e.packet.Footprint()
	f.loop.scratch.accept(e.packet, endOfAccepted)
	f.text = f.loop.scratch.appendTo(f.text, f.loop.manner(s.last))
	f.ends = append(f.ends, len(f.text))
}

// cut returns a flight of all that come after the first.
func (f *flight) cut(first int) *flight {
	rest := f.loop.newFlight()
	for i := first; i < len(f.entrants); i++ {
		rest.add(f.sockets[i], f.entrants[i])
	}
	f.entrants, f.sockets, f.held = f.entrants[:first], f.sockets[:first], f.held-rest.held
	return rest
}

// Stored implements journal.Waiter.
func (f *flight) Stored(err error) {
	f.err = err
	f.loop.post(f)
}

func (f *flight) arrive(l *loop) { l.land(f) }

// depart hands the packets that have gathered to the journal.
func (l *loop) depart() {
	f := l.boarding
	if len(f.entrants) == 0 {
		return
	}
	l.boarding = l.newFlight()
	for len(f.entrants) > 0 {
		taken, pending, err := l.handler.deps.Journal.Submit(f.packets, f)
		rest := f.cut(taken)
		if !pending {
			l.land(f)
		}
		if err != nil {
			rest = l.turnDown(rest, err)
		}
		f = rest
	}
	l.spare = append(l.spare, f)
}

// turnDown refuses the first packet of a flight for which there was no room, or
// all of them if the journal takes nothing. It returns a flight of those that
// are to be tried.
func (l *loop) turnDown(f *flight, err error) *flight {
	refused := len(f.entrants)
	if codeOf(err) == problem.Overloaded {
		refused = 1
	}
	rest := f.cut(refused)
	f.err = err
	l.land(f)
	return rest
}

// land answers for a flight. Its packets are not its own any more, unless there
// was an error.
func (l *loop) land(f *flight) {
	h, begin := l.handler, 0
	l.tick()
	h.bodies.free(f.held)
	for i := range f.entrants {
		e, s := &f.entrants[i], f.sockets[i]
		if f.err != nil {
			l.refuse(s, *h.turnedDown(e, f.err))
			e.packet.Release()
		} else {
			e.accept()
			l.write(s, f.text[begin:f.ends[i]])
		}
		begin = f.ends[i]
	}
	l.spare = append(l.spare, f)
}

func (l *loop) newFlight() *flight {
	if len(l.spare) == 0 {
		return &flight{loop: l}
	}
	f := l.spare[len(l.spare)-1]
	l.spare = l.spare[:len(l.spare)-1]
	clear(f.entrants[:cap(f.entrants)])
	clear(f.packets)
	clear(f.sockets[:cap(f.sockets)])
	*f = flight{loop: l, entrants: f.entrants[:0], sockets: f.sockets[:0], packets: f.packets[:0], text: f.text[:0], ends: f.ends[:0]}
	return f
}
