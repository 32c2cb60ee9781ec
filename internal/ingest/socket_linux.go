package ingest

import (
	"io"
	"os"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// socket is a connection that a loop serves, for as long as its requests are
// usual ones.
type socket struct {
	descriptor int
	state      socketState
	// readable: there may be something to read. The poller tells that once.
	readable bool
	ended    bool  // the client sends nothing more, or has gone
	last     bool  // the answer under way is the last
	by       int64 // when the wait for the client is too long, by the patrol's clock
	started  time.Time
	request  request
	body     *packet.Packet // being read
	length   int            // that it shall have
	ahead    []byte         // came behind it
}

type socketState uint8

const (
	resting socketState = iota // between two requests
	reading                    // a body
	busy                       // somebody makes the answer
	closed
)

// largestBody is how many bytes of a body a loop reads: memory for a larger one
// is better taken as it arrives, and it would hold up others.
const largestBody = 2 * firstBuffer

// firstRead is how many bytes of a request are read before its header is known:
// what is left of a body is then read to where it will stay, without a copy.
const firstRead = 2 * mostHeader

// serve reads and answers what there is.
func (l *loop) serve(s *socket) {
	for s.readable {
		switch s.state {
		case resting:
			l.readRequest(s)
		case reading:
			l.readBody(s)
		default:
			return
		}
	}
}

// read reads once, nothing at the stream's end. It reports false when there is
// nothing to read now.
func (l *loop) read(s *socket, room []byte) (n int, ok bool) {
	n, err := readNow(s.descriptor, room)
	switch {
	case err == syscall.EAGAIN:
		s.readable = false
		return 0, false
	case err != nil:
		return 0, true // as if the client had ended it
	}
	// Less than there was room for was all; what comes later is told. The end
	// of the stream may have been told before.
	s.readable = n == len(room) || s.ended
	return n, true
}

func (l *loop) readRequest(s *socket) {
	n, ok := l.read(s, l.buffer)
	switch {
	case !ok:
	case n == 0:
		l.end(s)
	default:
		l.begin(s, l.buffer[:n])
	}
}

// begin takes a request whose text begins so. One that is not usual goes to the
// library's server, with the connection and all that was read.
func (l *loop) begin(s *socket, text []byte) {
	head, usual := parseHead(text)
	rest := text[head.size:]
	if !usual || head.length > min(largestBody, l.handler.config.MaxBodyBytes) || len(rest) > head.length {
		l.handOver(s, &connection{unread: append([]byte(nil), text...)})
		return
	}
	body, fault := l.room(head.length)
	if fault != nil && len(rest) < head.length { // the server knows what to do with the rest of the body
		l.handOver(s, &connection{unread: append([]byte(nil), text...)})
		return
	}
	s.started, s.last = l.now, l.server.stopping.Load()
	if fault != nil {
		l.refuse(s, *fault)
		return
	}
	body.Body = append(body.Body, rest...)
	s.request = request{kind: head.kind, ack: l.handler.config.Ack, traceparent: traceOf(head.traceparent)}
	s.body, s.length = body, head.length
	if len(rest) == head.length {
		l.complete(s)
		return
	}
	s.state, s.by = reading, l.patrol().in(l.patrol().timeouts.Read)
}

// room lends a buffer for a body, if the journal has room for it, or tells why
// there is none.
func (l *loop) room(length int) (*packet.Packet, *problem.Problem) {
	if code := l.handler.closed(); code != "" {
		return nil, notNow(code)
	}
	return l.handler.bodies.lend(length)
}

func (l *loop) readBody(s *socket) {
	// More than the body's room is offered, where there is more, since a read
	// that leaves some of it free has found all there is.
	have := len(s.body.Body)
	n, ok := l.read(s, s.body.Body[have:cap(s.body.Body)])
	text := s.body.Body[:have+n]
	s.body.Body = text[:min(len(text), s.length)]
	switch {
	case !ok:
	case n == 0:
		l.giveUp(s, *unreadable(io.ErrUnexpectedEOF))
	case len(text) >= s.length:
		s.ahead = append(s.ahead, text[s.length:]...)
		l.complete(s)
	}
}

// complete has a request answered whose body is here. What may wait for others
// than the journal, or take long, gets a goroutine.
func (l *loop) complete(s *socket) {
	body := s.body
	s.state, s.body, s.by = busy, nil, 0
	if s.request.kind == packetLines || s.request.ack == AckDelivered {
		go l.answer(s, s.request, body)
		return
	}
	h, e := l.handler, entrant{packet: body}
	fault := h.examine(&e, s.request.traceparent, l.now)
	switch {
	case fault != nil:
		h.bodies.drop(body)
		l.refuse(s, *fault)
	case e.other != nil:
		go l.resolve(s, e)
	case e.duplicate:
		l.duplicate(s, e)
	default:
		l.boarding.add(s, e)
		if len(l.boarding.entrants) == packetsPerFlight {
			l.depart()
		}
	}
}

// answered is an answer that a goroutine has made.
type answered struct {
	socket *socket
	reply  *reply
}

func (a *answered) arrive(l *loop) {
	if a.reply.sent != nil {
		l.sendLong(a.socket, a.reply)
		return
	}
	l.reply(a.socket, a.reply)
	l.handler.keep(a.reply)
}

// answer runs in a goroutine.
func (l *loop) answer(s *socket, r request, body *packet.Packet) {
	to := l.handler.replies.Get().(*reply)
	l.handler.answer(r, body, to)
	l.post(&answered{s, to})
}

// resolved is a packet that another request had asked for.
type resolved struct {
	socket  *socket
	entrant entrant
	fault   *problem.Problem
}

// resolve runs in a goroutine.
func (l *loop) resolve(s *socket, e entrant) {
	fault := e.resolve()
	l.post(&resolved{s, e, fault})
}

func (r *resolved) arrive(l *loop) {
	if r.fault == nil {
		l.duplicate(r.socket, r.entrant)
		return
	}
	l.handler.bodies.drop(r.entrant.packet)
	l.refuse(r.socket, *r.fault)
}

// duplicate answers for a packet that was accepted before.
func (l *loop) duplicate(s *socket, e entrant) {
	l.handler.metrics.duplicates.Inc()
	l.scratch.accept(e.packet, endOfDuplicate)
	l.handler.bodies.drop(e.packet)
	l.reply(s, &l.scratch)
}

func (l *loop) refuse(s *socket, why problem.Problem) {
	l.handler.turnAway(&l.scratch, why)
	l.reply(s, &l.scratch)
}

func (l *loop) reply(s *socket, r *reply) {
	l.text = r.appendTo(l.text[:0], s.last)
	l.write(s, l.text)
}

// write answers a request. A client that is slow to read its answers is left to
// the library's server.
func (l *loop) write(s *socket, text []byte) {
	if s.state == closed {
		return
	}
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	n, err := writeNow(s.descriptor, text)
	switch {
	case err != nil && err != syscall.EAGAIN:
		l.end(s)
	case n < len(text):
		l.handOver(s, &connection{unsent: append([]byte(nil), text[n:]...), unread: s.ahead, last: s.last})
	case s.last || l.closing:
		l.end(s)
	case len(s.ahead) > 0:
		l.handOver(s, &connection{unread: s.ahead})
	default:
		s.state, s.by = resting, l.patrol().in(l.patrol().timeouts.Idle)
		if s.readable {
			l.again = append(l.again, s)
		}
	}
}

// sendLong leaves a long answer to the library's server.
func (l *loop) sendLong(s *socket, r *reply) {
	if s.state == closed {
		r.sent()
		return
	}
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	l.handOver(s, &connection{unsent: r.appendTo(nil, s.last), sent: r.sent, unread: s.ahead, last: s.last})
}

// giveUp refuses a request that cannot be read to its end.
func (l *loop) giveUp(s *socket, why problem.Problem) {
	l.handler.turnAway(&l.scratch, why)
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	c := &connection{unsent: l.scratch.appendTo(nil, true), last: true}
	c.lingers.Store(true)
	l.handOver(s, c)
}

// expire ends a wait that is too long.
func (l *loop) expire(s *socket) {
	if s.state == reading {
		l.giveUp(s, *unreadable(os.ErrDeadlineExceeded))
	} else {
		l.end(s)
	}
}
