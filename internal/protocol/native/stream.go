//go:build linux && !noeventloop

package native

import (
	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

// loopHandler handles the requests of one event loop. Packets of a round are appended to the
// journal together. Only the loop's goroutine uses it.
type loopHandler struct {
	protocol  *Protocol
	loop      *eventloop.Loop
	scratch   http1.Response
	pending   *loopBatch         // packets of this round
	spare     []*loopBatch       // free list
	responses http1.ResponsePool // of goroutines
}

// NewLoopHandler implements server.Protocol.
func (p *Protocol) NewLoopHandler(l *eventloop.Loop) eventloop.Handler {
	h := &loopHandler{protocol: p, loop: l}
	h.pending = h.newBatch()
	return h
}

func (h *loopHandler) Open(c *eventloop.Conn) eventloop.Stream { return &stream{handler: h, conn: c} }

func (h *loopHandler) Flush() {
	b := h.pending
	if len(b.streams) == 0 {
		return
	}
	h.pending = h.newBatch()
	if !b.intake.Submit(b) {
		b.complete()
	}
}

// stream handles the requests of one connection.
type stream struct {
	handler  *loopHandler
	conn     *eventloop.Conn
	how      submission
	session  credential.Session
	upload   body.Upload
	response *http1.Response // that a goroutine has made
}

// Begin implements eventloop.Stream. Requests that are refused before their body is read leave the
// fast path.
func (s *stream) Begin(head *http1.Head, whole bool) bool {
	p := s.handler.protocol
	if !p.isFastPath(head) {
		return false
	}
	var principal *credential.Principal
	if p.auth != nil {
		if principal = p.auth.principal(&s.session, head.Authorization, nil); principal == nil {
			return false
		}
	}
	emitterID := s.how.emitterID
	if string(head.EmitterID) != emitterID { // most connections have one emitter
		emitterID = string(head.EmitterID)
	}
	s.how = submission{kind: kindOf(head.ContentType), ack: p.ack(), traceparent: traceOf(head.Traceparent), principal: principal, emitterID: emitterID}
	if !whole {
		if p.intake.Admit(int(head.Length)) != "" {
			return false
		}
		s.upload = p.bodies.Upload(s.conn.Client(), int(head.Length))
	}
	return true
}

// isFastPath reports whether a request has packets in the form that nearly all emitters send.
func (p *Protocol) isFastPath(h *http1.Head) bool {
	return string(h.Method) == "POST" && string(h.Target) == Path && !h.Encoded && !isEmptyEmitterID(h) && p.bodies.CheckLength(h.Length) == nil
}

func (s *stream) Receive(text []byte) {
	p := s.handler.protocol
	reason := p.intake.Closed()
	var received *packet.Packet
	if reason == "" {
		received, reason = p.memory.Lend(len(text))
	}
	if reason != "" {
		s.refuse(body.Unavailable(reason))
		return
	}
	received.Body = append(received.Body, text...)
	s.process(received)
}

func (s *stream) Free() []byte { return s.upload.Free() }

func (s *stream) Append(part []byte) {
	if fault := s.upload.Append(part); fault != nil {
		s.giveUp(fault)
	}
}

func (s *stream) Process() { s.process(s.upload.Done()) }

func (s *stream) Abort(err error) { s.giveUp(body.Unreadable(err)) }

func (s *stream) Drop() { s.upload.Drop() }

// process answers a request. It starts a goroutine if the response may take long, or waits for
// anything except the journal.
func (s *stream) process(received *packet.Packet) {
	h := s.handler
	if s.how.kind == packetLines || s.how.ack == intake.AckDelivered {
		go s.answer(received)
		return
	}
	c := candidateOf(s.how.principal, received)
	switch {
	case h.protocol.examine(&s.how, &c, h.loop.Now(), &h.scratch):
		s.reply(&h.scratch)
	case c.InFlight():
		go s.store(c)
	default:
		h.pending.add(s, &c)
		if len(h.pending.streams) == packetsPerBatch {
			h.Flush()
		}
	}
}

// answer runs in a goroutine of its own.
func (s *stream) answer(received *packet.Packet) {
	s.response = s.handler.responses.Get()
	s.handler.protocol.answer(&s.how, received, s.response)
	s.handler.loop.Post(s)
}

// store runs in a goroutine of its own.
func (s *stream) store(c intake.Candidate) {
	s.response = s.handler.responses.Get()
	s.handler.protocol.store(&c, s.how.ack, s.response)
	s.handler.loop.Post(s)
}

// Handle implements eventloop.Event: a goroutine has made the response.
func (s *stream) Handle(*eventloop.Loop) {
	response := s.response
	s.response = nil
	s.reply(response)
	s.handler.responses.Put(response)
}

func (s *stream) reply(r *http1.Response) {
	s.observe()
	s.conn.Reply(r)
}

func (s *stream) refuse(why *problem.Problem) {
	s.handler.protocol.refuse(&s.handler.scratch, *why)
	s.reply(&s.handler.scratch)
}

// giveUp refuses a request that was not received completely.
func (s *stream) giveUp(why *problem.Problem) {
	s.handler.protocol.refuse(&s.handler.scratch, *why)
	s.observe()
	s.conn.GiveUp(&s.handler.scratch)
}

func (s *stream) observe() { s.handler.protocol.duration.Observe(s.conn.Elapsed().Seconds()) }
