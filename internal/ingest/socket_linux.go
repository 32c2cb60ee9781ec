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

// socket is a connection that a loop serves, as long as all its requests take the
// fast path.
type socket struct {
	descriptor int
	state      socketState
	// readable means that a read may find bytes or the end. Epoll reports each edge
	// once.
	readable  bool
	ended     bool  // the client has closed its side, or the connection failed
	last      bool  // the connection closes after the answer in flight
	deadline  int64 // of reads, in the deadlineSweeper's time; 0 is none
	started   time.Time
	client    netip.Addr
	how       submission
	upload    upload // body in transit
	pipelined []byte // bytes behind it
}

type socketState uint8

const (
	idle    socketState = iota // between two requests
	reading                    // a body
	busy                       // the answer is being made
	closed
)

// maxFastPathBody bounds a body that a loop reads, in bytes: a larger one would delay
// other connections.
const maxFastPathBody = 2 * firstBuffer

// firstRead is the size of a loop's buffer, into which it reads heads, and bodies
// that hold no memory yet.
const firstRead = 2 * maxHead

// serve reads and answers requests until the socket is drained.
func (l *loop) serve(s *socket) {
	for s.readable {
		switch s.state {
		case idle:
			l.readRequest(s)
		case reading:
			l.readBody(s)
		default:
			return
		}
	}
}

// read reads once; 0 bytes mean the end of the stream. It reports false if nothing
// can be read now.
func (l *loop) read(s *socket, room []byte) (n int, ok bool) {
	n, err := readNow(s.descriptor, room)
	switch {
	case err == syscall.EAGAIN:
		s.readable = false
		return 0, false
	case err != nil:
		return 0, true // like a close by the client
	}
	// A short read drained the socket; epoll reports new data. It may have reported
	// the end of the stream before.
	s.readable = n == len(room) || s.ended
	return n, true
}

func (l *loop) readRequest(s *socket) {
	n, ok := l.read(s, l.buffer)
	switch {
	case !ok:
	case n == 0:
		l.close(s)
	default:
		l.begin(s, l.buffer[:n])
	}
}

// begin takes a request that starts with text. With any but a fast-path request the
// connection falls back to a goroutine, which gets all bytes read so far.
func (l *loop) begin(s *socket, text []byte) {
	head, err := http1.Parse(text, maxHead)
	rest := text[head.Size:]
	if err != nil || !isFastPath(&head) || head.Length > int64(min(maxFastPathBody, l.handler.config.MaxBodyBytes)) || int64(len(rest)) > head.Length {
		l.fallBack(s, &connection{unread: append([]byte(nil), text...)})
		return
	}
	s.started, s.last = l.now, l.server.stopping.Load()
	s.how = submission{kind: kindOf(head.ContentType), ack: l.handler.config.Ack, traceparent: traceOf(head.Traceparent)}
	if length := int(head.Length); len(rest) == length {
		l.receive(s, rest)
	} else if l.handler.admit(length) != "" { // the goroutine refuses it, and discards the rest of the body
		l.fallBack(s, &connection{unread: append([]byte(nil), text...)})
	} else {
		s.upload = upload{bodies: l.handler.bodies, quota: l.handler.bodies.uploads, client: s.client, length: length, least: uploadStart}
		s.state, s.deadline = reading, l.sweeper().after(l.sweeper().timeouts.Read)
		l.add(s, rest)
	}
}

// receive takes a body that has arrived completely.
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
	l.process(s, body)
}

// readBody reads a part of a body, directly into the upload's buffer if that has
// capacity.
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
		s.pipelined = append(s.pipelined, part[missing:]...)
		part = part[:missing]
	}
	if direct {
		s.upload.extend(len(part))
		l.continueUpload(s)
	} else {
		l.add(s, part)
	}
}

// add copies a part of a body into the upload.
func (l *loop) add(s *socket, part []byte) {
	if fault := s.upload.add(part); fault != nil {
		l.giveUp(s, *fault)
		return
	}
	l.continueUpload(s)
}

// continueUpload processes the body if it is complete.
func (l *loop) continueUpload(s *socket) {
	if s.upload.missing() == 0 {
		l.process(s, s.upload.done())
	}
}

// process answers a request. What may take long, or wait for anything but the
// journal, gets a goroutine.
func (l *loop) process(s *socket, body *packet.Packet) {
	s.state, s.deadline = busy, 0
	if s.how.kind == packetLines || s.how.ack == AckDelivered {
		go l.answer(s, s.how, body)
		return
	}
	h, e := l.handler, candidate{packet: body}
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
		l.pending.add(s, e)
		if len(l.pending.candidates) == packetsPerBatch {
			l.flush()
		}
	}
}

// answered is the event that a goroutine has made an answer.
type answered struct {
	socket *socket
	reply  *Response
}

func (a *answered) handle(l *loop) {
	if a.reply.sent != nil {
		l.sendLong(a.socket, a.reply)
		return
	}
	l.reply(a.socket, a.reply)
	l.handler.keep(a.reply)
}

// answer runs in a goroutine of its own.
func (l *loop) answer(s *socket, r submission, body *packet.Packet) {
	to := l.handler.responses.Get().(*Response)
	l.handler.answer(r, body, to)
	l.post(&answered{s, to})
}

// resolved is the event that the request with the reservation on the same packet ended.
type resolved struct {
	socket    *socket
	candidate candidate
	fault     *problem.Problem
}

// resolve runs in a goroutine of its own.
func (l *loop) resolve(s *socket, e candidate) {
	fault := e.resolve()
	l.post(&resolved{s, e, fault})
}

func (r *resolved) handle(l *loop) {
	if r.fault == nil {
		l.duplicate(r.socket, r.candidate)
		return
	}
	l.handler.bodies.drop(r.candidate.packet)
	l.refuse(r.socket, *r.fault)
}

// duplicate answers a packet that was accepted before.
func (l *loop) duplicate(s *socket, e candidate) {
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

// write writes an answer. A client that is slow to read it falls back to a
// goroutine.
func (l *loop) write(s *socket, text []byte) {
	if s.state == closed {
		return
	}
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	n, err := writeNow(s.descriptor, text)
	switch {
	case err != nil && err != syscall.EAGAIN:
		l.close(s)
	case n < len(text):
		l.fallBack(s, &connection{unsent: append([]byte(nil), text[n:]...), unread: s.pipelined, last: s.last})
	case s.last || l.failing:
		l.close(s)
	case len(s.pipelined) > 0:
		l.fallBack(s, &connection{unread: s.pipelined})
	default:
		s.state, s.deadline = idle, l.sweeper().after(l.sweeper().timeouts.Idle)
		if s.readable {
			l.ready = append(l.ready, s)
		}
	}
}

// sendLong writes a long answer from a goroutine.
func (l *loop) sendLong(s *socket, r *Response) {
	if s.state == closed {
		r.sent()
		return
	}
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	l.fallBack(s, &connection{unsent: r.appendTo(nil, l.manner(s.last)), sent: r.sent, unread: s.pipelined, last: s.last})
}

// giveUp refuses a request that cannot be read to its end, and closes the connection.
func (l *loop) giveUp(s *socket, why problem.Problem) {
	l.handler.refuse(&l.scratch, why)
	l.handler.metrics.duration.Observe(l.now.Sub(s.started).Seconds())
	c := &connection{unsent: l.scratch.appendTo(nil, l.manner(true)), last: true, lingers: true}
	l.fallBack(s, c)
}

// expire handles a read deadline that has passed.
func (l *loop) expire(s *socket) {
	if s.state == reading {
		l.giveUp(s, *unreadable(os.ErrDeadlineExceeded))
	} else {
		l.close(s)
	}
}
