//go:build !noeventloop

package eventloop

import (
	"io"
	"net/netip"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// Conn is a connection that a loop serves, as long as all its requests take the fast
// path. Its methods are for the loop's goroutine.
type Conn struct {
	loop       *Loop
	stream     Stream
	descriptor int
	state      connState
	// readable means that a read may find bytes or the end. Epoll reports each edge
	// once.
	readable  bool
	ended     bool          // the client has closed its side, or the connection failed
	last      bool          // the connection closes after the response in flight
	deadline  int64         // of reads, in the time of sweeps; 0 is none
	within    time.Duration // of the first request
	started   time.Time
	client    netip.Addr
	missing   int    // bytes of the body that have not arrived
	pipelined []byte // bytes behind the body
}

type connState uint8

const (
	idle    connState = iota // between two requests
	reading                  // a body
	busy                     // the response is being made
	closed
)

const (
	// maxBody is how many bytes a body on the fast path may have: a larger one would
	// delay other connections.
	maxBody = 128 << 10
	// buffersPerHead is how many times a head fits a loop's buffer, into which it reads
	// heads, and bodies that have no memory yet.
	buffersPerHead = 2
)

// Handle registers a new connection.
func (c *Conn) Handle(l *Loop) {
	c.stream = l.handler.Open(c)
	c.deadline = l.deadline(c.within)
	for len(l.conns) <= c.descriptor {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.descriptor] = c
	if err := l.poller.add(c.descriptor); err != nil {
		l.close(c)
	}
}

// Client returns the client's address, see clientquota.ClientOf.
func (c *Conn) Client() netip.Addr { return c.client }

// Elapsed returns the time since the request's head arrived.
func (c *Conn) Elapsed() time.Duration { return c.loop.now.Sub(c.started) }

// serve reads requests until the connection is drained.
func (l *Loop) serve(c *Conn) {
	for c.readable {
		switch c.state {
		case idle:
			l.readRequest(c)
		case reading:
			l.readBody(c)
		default:
			return
		}
	}
}

// read reads once; 0 bytes mean the end of the stream. It reports false if nothing can
// be read now.
func (l *Loop) read(c *Conn, dst []byte) (n int, ok bool) {
	n, err := readNow(c.descriptor, dst)
	switch {
	case err == syscall.EAGAIN:
		c.readable = false
		return 0, false
	case err != nil:
		return 0, true // like a close by the client
	}
	// A short read drained the socket; epoll reports new data. It may have reported
	// the end of the stream before.
	c.readable = n == len(dst) || c.ended
	return n, true
}

func (l *Loop) readRequest(c *Conn) {
	n, ok := l.read(c, l.buffer)
	switch {
	case !ok:
	case n == 0:
		l.close(c)
	default:
		l.begin(c, l.buffer[:n])
	}
}

// begin takes a request that starts with text. If it is not for the fast path, the
// connection falls back to a goroutine, which gets all bytes read so far.
func (l *Loop) begin(c *Conn, text []byte) {
	var err error
	l.head, err = http1.Parse(text, l.deps.MaxHead)
	rest := text[l.head.Size:]
	length := l.head.Length
	whole := length == int64(len(rest))
	if err != nil || !isFastPath(&l.head) || int64(len(rest)) > length || !c.stream.Begin(&l.head, whole) {
		l.fallBack(c, Fallback{Unread: append([]byte(nil), text...)})
		return
	}
	c.started, c.last = l.now, l.draining
	if whole {
		c.state, c.deadline = busy, 0
		c.stream.Receive(rest)
		return
	}
	c.missing = int(length)
	c.state, c.deadline = reading, l.deadline(l.deps.Read)
	l.appendBody(c, rest)
}

// isFastPath reports whether a loop can read a request: one with a length, without an expectation,
// an upgrade or other options.
func isFastPath(h *http1.Head) bool {
	return h.Minor >= 1 && h.Length >= 0 && h.Length <= maxBody && !h.Close && !h.ExpectsContinue
}

// readBody reads a part of a body, directly into the stream's memory if it has some.
func (l *Loop) readBody(c *Conn) {
	dst := c.stream.Free()
	if len(dst) == 0 {
		dst = l.buffer
	}
	n, ok := l.read(c, dst)
	switch {
	case !ok:
		return
	case n == 0:
		c.stream.Abort(io.ErrUnexpectedEOF)
		return
	}
	part := dst[:n]
	if n > c.missing {
		c.pipelined = append(c.pipelined, part[c.missing:]...)
		part = part[:c.missing]
	}
	l.appendBody(c, part)
}

// appendBody passes a part of a body on, and processes the body if it is complete.
func (l *Loop) appendBody(c *Conn, part []byte) {
	c.missing -= len(part)
	c.stream.Append(part)
	if c.missing == 0 && c.state == reading {
		c.state, c.deadline = busy, 0
		c.stream.Process()
	}
}

// Reply sends a response, whose memory can be reused if its Sent is nil.
func (c *Conn) Reply(r *http1.Response) {
	l := c.loop
	if r.Sent == nil {
		l.text = r.AppendTo(l.text[:0], l.framing(c.last))
		c.Write(l.text)
		return
	}
	if c.state == closed {
		r.Sent()
		return
	}
	l.fallBack(c, Fallback{Unsent: c.AppendResponse(nil, r), Sent: r.Sent, Unread: c.pipelined, Last: c.last})
}

// AppendResponse appends a response to the request as text for Write.
func (c *Conn) AppendResponse(dst []byte, r *http1.Response) []byte {
	return r.AppendTo(dst, c.loop.framing(c.last))
}

// Write sends the text of a response. A client that is slow to read it falls back to a
// goroutine.
func (c *Conn) Write(text []byte) {
	if c.state == closed {
		return
	}
	l := c.loop
	n, err := writeNow(c.descriptor, text)
	switch {
	case err != nil && err != syscall.EAGAIN:
		l.close(c)
	case n < len(text):
		l.fallBack(c, Fallback{Unsent: append([]byte(nil), text[n:]...), Unread: c.pipelined, Last: c.last})
	case c.last || l.failing && !l.releasing:
		l.close(c)
	case len(c.pipelined) > 0 || l.releasing:
		l.fallBack(c, Fallback{Unread: c.pipelined})
	default:
		c.state, c.deadline = idle, l.deadline(l.deps.Idle)
		if c.readable {
			l.ready = append(l.ready, c)
		}
	}
}

// GiveUp sends the response to a request that is not received to its end, and closes
// the connection after it.
func (c *Conn) GiveUp(r *http1.Response) {
	c.loop.fallBack(c, Fallback{Unsent: r.AppendTo(nil, c.loop.framing(true)), Last: true, Lingers: true})
}
