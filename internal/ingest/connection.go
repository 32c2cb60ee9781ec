package ingest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"logstreamer/internal/listener"
)

// When a connection is closed while bytes of a refused request still arrive,
// the answer can be destroyed on its way to the client. So such a connection
// lingers: what the client still sends is discarded for a while.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

// openings is a listener that knows the connections which are open.
type openings struct {
	*listener.Steady
	patrol    *patrol
	accepting chan struct{} // closed when Accept is called first
	first     sync.Once

	mu   sync.Mutex // guards open
	open map[*connection]struct{}
}

func (l *openings) Accept() (net.Conn, error) {
	l.first.Do(func() { close(l.accepting) })
	conn, err := l.Steady.Accept()
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, from: l, resting: true, waits: waits{patrol: l.patrol}}
	c.waits.forBytes(conn, l.patrol.timeouts.Read)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	return c, nil
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

// closeSilent closes connections on which nothing was ever received: the server
// would wait for them as for a request.
func (l *openings) closeSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if !c.spoken.Load() {
			_ = c.Conn.Close()
		}
	}
}

// connection can linger, knows whether the client has ended it, and does not
// wait for the client for ever.
type connection struct {
	net.Conn
	from    *openings
	spoken  atomic.Bool // something was received
	lingers atomic.Bool
	waits   waits

	// Below belongs to the goroutine that serves it.
	ended   bool
	resting bool // between two requests
}

func (c *connection) Read(dst []byte) (int, error) {
	n, err := c.Conn.Read(dst)
	if n > 0 && c.resting {
		c.resting = false
		c.waits.forBytes(c.Conn, c.waits.patrol.timeouts.Read)
		if !c.spoken.Load() {
			c.spoken.Store(true)
		}
	}
	if errors.Is(err, io.EOF) {
		c.ended = true
	}
	return n, err
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
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Conn.Close()
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
