package ingest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/listener"
)

// When a connection is closed while bytes of a refused request still arrive,
// the answer can be destroyed on its way to the client. So such a connection
// lingers: what the client still sends is discarded for a while.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

// openings is the listener of the library's server, which gets the connections
// that are handed over. It knows those that are open.
type openings struct {
	*listener.Steady
	patrol *patrol
	handed chan *connection
	closed chan struct{}

	mu   sync.Mutex // guards open
	open map[*connection]struct{}
}

func newOpenings(l *listener.Steady, p *patrol) *openings {
	return &openings{
		Steady: l, patrol: p, handed: make(chan *connection), closed: make(chan struct{}), open: make(map[*connection]struct{}),
	}
}

// Accept returns the next connection that is handed over.
func (l *openings) Accept() (net.Conn, error) {
	select {
	case c := <-l.handed:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// end ends Accept, and the connections that are open.
func (l *openings) end() {
	close(l.closed)
	l.each(func(c *connection) { _ = c.Conn.Close() })
}

// handOver has a connection served by the library's server.
func (l *openings) handOver(c *connection) {
	c.from, c.resting, c.waits.patrol = l, true, l.patrol
	c.waits.forBytes(c.Conn, l.patrol.timeouts.Read)
	l.mu.Lock()
	l.open[c] = struct{}{}
	l.mu.Unlock()
	go func() {
		if !c.sendRest() {
			_ = c.Close()
			return
		}
		select {
		case l.handed <- c:
		case <-l.closed:
			_ = c.Close()
		}
	}()
}

func (l *openings) forget(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// each calls look for the connections that are open.
func (l *openings) each(look func(*connection)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		look(c)
	}
}

// left returns how many connections are open.
func (l *openings) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// endWaits ends all waits for clients' bytes. What is being written is not
// disturbed.
func (l *openings) endWaits() {
	l.each(func(c *connection) { c.waits.endReading(c.Conn, math.MaxInt64) })
}

// connection can linger, knows whether the client has ended it, and does not
// wait for the client for ever.
type connection struct {
	net.Conn
	from    *openings
	lingers atomic.Bool
	waits   waits

	// Below belongs to the goroutine that serves it.
	ended   bool
	resting bool   // between two requests
	unread  []byte // received before it was handed over
	unsent  []byte // the rest of an answer
	last    bool   // which is the last
	sent    func() // that of the answer, see reply; may be nil
}

// sendRest sends what is left of an answer and reports whether the connection
// goes on.
func (c *connection) sendRest() bool {
	if len(c.unsent) == 0 {
		return true
	}
	_, err := c.Write(c.unsent)
	c.freeRest()
	return err == nil && !c.last
}

func (c *connection) freeRest() {
	if c.sent != nil {
		c.sent()
	}
	c.unsent, c.sent = nil, nil
}

// begin notes that the next request begins to arrive. It may have arrived with
// the one before.
func (c *connection) begin() {
	if c.resting {
		c.resting = false
		c.waits.forBytes(c.Conn, c.waits.patrol.timeouts.Read)
	}
}

func (c *connection) Read(dst []byte) (int, error) {
	n, err := c.receive(dst)
	if errors.Is(err, io.EOF) {
		c.ended = true
	}
	return n, err
}

func (c *connection) receive(dst []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(dst)
	}
	n := copy(dst, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil
	}
	return n, nil
}

func (c *connection) Write(b []byte) (int, error) {
	c.waits.forWriting()
	n, err := c.Conn.Write(b)
	c.waits.written()
	if bytes.HasPrefix(b, interim) { // the body of the same request is to come
		c.waits.forBytes(c.Conn, c.waits.patrol.timeouts.Read)
		return n, err
	}
	c.resting = true
	c.waits.forBytes(c.Conn, c.waits.patrol.timeouts.Idle)
	return n, err
}

// interim is how "100 Continue" begins.
var interim = []byte("HTTP/1.1 100 ")

// Close tells the client that nothing more will come, lingers if that is
// wanted, and closes.
func (c *connection) Close() error {
	c.from.forget(c)
	if c.lingers.Load() {
		linger(c.Conn)
	}
	return c.Conn.Close()
}

func linger(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}

// isCut tells whether the client has ended the connection within a body of
// chunks, which fasthttp does not tell from the body's end.
func isCut(ctx *fasthttp.RequestCtx) bool {
	conn, ok := ctx.Conn().(*connection)
	return ok && conn.ended && ctx.Request.Header.ContentLength() < 0
}

// giveUp ends the connection once the request is answered.
func giveUp(ctx *fasthttp.RequestCtx) {
	ctx.SetConnectionClose()
	if conn, ok := ctx.Conn().(*connection); ok {
		conn.lingers.Store(true)
	}
}

// leaveBody deals with a body that was not read to its end, which would be
// taken for the next request. A small one is read past; for a large one the
// connection is given up, so that the answer goes out at once.
func leaveBody(ctx *fasthttp.RequestCtx) {
	const small = 64 << 10
	body := ctx.RequestBodyStream()
	if body == nil {
		return
	}
	if length := ctx.Request.Header.ContentLength(); length >= 0 && length <= small {
		if _, err := io.Copy(io.Discard, body); err == nil {
			return
		}
	}
	giveUp(ctx)
}
