package ingest

import (
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
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
	client   netip.Addr
	how      submission
	upload   upload // the body that is being read
	ahead    []byte // came behind it
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

// firstRead is how many bytes are read before it is known whose they are: of a
// request whose head is not known, or of a body that holds no memory yet.
const firstRead = 2 * maxHead

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

// begin takes a request whose text begins so. A connection with one that is not
// usual gets a goroutine, with all that was read.
func (l *loop) begin(s *socket, text []byte) {
	head, err := http1.Parse(text, maxHead)
	rest := text[head.Size:]
	if err != nil || !isUsual(&head) || head.Length > int64(min(largestBody, l.handler.config.MaxBodyBytes)) || int64(len(rest)) > head.Length {
		l.handOver(s, &connection{unread: append([]byte(nil), text...)})
		return
	}
	s.started, s.last = l.now, l.server.stopping.Load()
	s.how = submission{kind: kindOf(head.ContentType), ack: l.handler.config.Ack, traceparent: traceOf(head.Traceparent)}
	if length := int(head.Length); len(rest) == length {
		l.receive(s, rest)
	} else if l.handler.admit(length) != "" { // the goroutine refuses it, and knows what to do with the rest of the body
		l.handOver(s, &connection{unread: append([]byte(nil), text...)})
	} else {
		s.upload = upload{bodies: l.handler.bodies, quota: l.handler.bodies.uploads, client: s.client, length: length, least: uploadStart}
		s.state, s.by = reading, l.patrol().in(l.patrol().timeouts.Read)
		l.add(s, rest)
	}
}

// receive takes a body that is here as a whole.
func (l *loop) receive(s *socket, text []byte) {
	if code := l.handler.closed(); code != "" {
		l.refuse(s, *notNow(code))
		return
	}
	body, fault := l.handler.bodies.lend(len(text))
	if fault != nil {
		l.refuse(s, *fault)
		return
	}
	body.Body = append(body.Body, text...)
	l.complete(s, body)
}

// readBody reads a part of a body: to where it will stay, once there is memory for
// more than has arrived.
func (l *loop) readBody(s *socket) {
	free := s.upload.free()
	direct := len(free) > 0
	if !direct {
		free = l.buffer
	}
	n, ok := l.read(s, free)
	switch {
	case !ok:
		return
	case n == 0:
		l.giveUp(s, *unreadable(io.ErrUnexpectedEOF))
		return
	}
	part := free[:n]
	if missing := s.upload.missing(); n > missing {
		s.ahead = append(s.ahead, part[missing:]...)
		part = part[:missing]
	}
	if direct {
		s.upload.extend(len(part))
		l.continueUpload(s)
	} else {
		l.add(s, part)
	}
}

// add copies what has arrived of a body.
func (l *loop) add(s *socket, part []byte) {
	if fault := s.upload.add(part); fault != nil {
		l.giveUp(s, *fault)
		return
	}
	l.continueUpload(s)
}

// continueUpload waits for more of a body, unless it is here.
func (l *loop) continueUpload(s *socket) {
	if s.upload.missing() == 0 {
		l.complete(s, s.upload.done())
	}
}

// complete has a request answered whose body is here. What may wait for others
// than the journal, or take long, gets a goroutine.
func (l *loop) complete(s *socket, body *packet.Packet) {
	s.state, s.by = busy, 0
	if s.how.kind == packetLines || s.how.ack == AckDelivered {
		go l.answer(s, s.how, body)
		return
	}
	h, e := l.handler, entrant{packet: body}
	fault := h.examine(&e, s.how.traceparent, l.now)
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
	reply  *Response
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
func (l *loop) answer(s *socket, r submission, body *packet.Packet) {
	to := l.handler.responses.Get().(*Response)
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
	l.handler.refuse(&l.scratch, why)
	l.reply(s, &l.scratch)
}

func (l *loop) reply(s *socket, r *Response) {
	l.text = r.appendTo(l.text[:0], l.manner(s.last))
	l.write(s, l.text)
}

// write answers a request. The connection of a client that is slow to read its
// answers gets a goroutine.
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

// sendLong leaves a long answer to a goroutine.
func (l *loop) sendLong(s *socket, r *Response) {
	if s.state == closed {
		r.sent()
		return
	}
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	l.handOver(s, &connection{unsent: r.appendTo(nil, l.manner(s.last)), sent: r.sent, unread: s.ahead, last: s.last})
}

// giveUp refuses a request that cannot be read to its end.
func (l *loop) giveUp(s *socket, why problem.Problem) {
	l.handler.refuse(&l.scratch, why)
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	c := &connection{unsent: l.scratch.appendTo(nil, l.manner(true)), last: true, lingers: true}
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
