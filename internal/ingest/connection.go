package ingest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// When a connection is closed while bytes of a refused request still arrive,
// the answer can be destroyed on its way to the client. So such a connection
// lingers: what the client still sends is discarded for a while.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

const (
	// maxDiscard is how many bytes of a body that nobody wants are read past, so
	// that the connection can be used again.
	maxDiscard = 64 << 10
	// pieceBytes are written at once of a long answer.
	pieceBytes = 64 << 10
	// shortBody is how many bytes of an answer's body are copied behind its head.
	shortBody = 1 << 10
)

// connection is served by a goroutine: it takes every request that package http1
// reads, and waits for its client no longer than it may.
type connection struct {
	net.Conn
	server *Server
	client netip.Addr
	waits  waits

	unread []byte // received before the goroutine was started
	unsent []byte // the rest of an answer
	last   bool   // which is the last
	sent   func() // that of the answer, see Response; may be nil

	reader  *http1.Reader
	lingers bool   // closing would destroy the answer
	text    []byte // of an answer that is short
}

// handOver gives a connection a goroutine.
func (s *Server) handOver(c *connection) {
	c.server, c.waits.patrol = s, s.patrol
	c.waits.forBytes(c.Conn, s.patrol.timeouts.Read)
	s.connections.add(c)
	go c.serve()
}

// serve answers requests until the connection ends.
func (c *connection) serve() {
	defer c.close()
	if !c.sendRest() {
		return
	}
	c.reader = http1.NewReader(c, maxHead, c.unread)
	c.unread = nil
	for c.next() {
		c.waits.forBytes(c.Conn, c.waits.patrol.timeouts.Idle)
	}
}

// sendRest sends what is left of an answer and reports whether the connection
// goes on.
func (c *connection) sendRest() bool {
	if len(c.unsent) == 0 {
		return true
	}
	err := c.write(c.unsent)
	if c.sent != nil {
		c.sent()
	}
	c.unsent, c.sent = nil, nil
	return err == nil && !c.last
}

// next answers a request and reports whether another may follow.
func (c *connection) next() bool {
	if c.reader.Await() != nil {
		return false // idle for too long, or the client is gone
	}
	c.waits.forBytes(c.Conn, c.waits.patrol.timeouts.Read)
	h := c.server.handler
	to := h.responses.Get().(*Response)
	defer h.keep(to)
	head, err := c.reader.ReadHead()
	if errors.Is(err, io.EOF) {
		return false // after an empty line
	}
	if err != nil {
		h.refuse(to, unreadableHead(err))
		c.lingers = true
		_ = c.answer(&head, to, true)
		return false
	}
	body := c.reader.Body()
	r := NewRequest(&head, c.bodyOf(&head, body), c.client, time.Now())
	c.server.routes(r, to)
	last := head.Close || c.server.stopping.Load() || !c.mayDiscard(&head, body)
	if c.answer(&head, to, last) != nil || last {
		return false
	}
	_, err = io.Copy(io.Discard, body)
	return err == nil
}

// mayDiscard reports whether what is left of a body is so little that it can be read
// past. Otherwise it would be taken for the next request, so the connection ends.
func (c *connection) mayDiscard(head *http1.Head, body *http1.Body) bool {
	left := body.Left()
	if body.Ended() || left >= 0 && left <= maxDiscard && !head.ExpectsContinue {
		return true
	}
	c.lingers = true
	return false
}

// answer writes the response; last says that the connection ends with it.
func (c *connection) answer(head *http1.Head, to *Response, last bool) error {
	c.text = to.appendHead(c.text[:0], manner{date: appendDate(nil, time.Now()), last: last, keepAlive: head.Minor == 0})
	rest := to.body
	if string(head.Method) == http.MethodHead {
		rest = nil
	}
	if len(rest) <= shortBody {
		c.text, rest = append(c.text, rest...), nil
	}
	err := c.write(c.text)
	if err == nil {
		err = c.write(rest)
	}
	if to.sent != nil {
		to.sent()
	}
	return err
}

// write writes in pieces, of which each may take as long as a client may.
func (c *connection) write(text []byte) error {
	for len(text) > 0 {
		c.waits.forWriting()
		n, err := c.Conn.Write(text[:min(len(text), pieceBytes)])
		c.waits.written()
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// bodyOf returns the body to be read, before which a client that waits for it gets
// an interim answer.
func (c *connection) bodyOf(head *http1.Head, body *http1.Body) io.Reader {
	if !head.ExpectsContinue || body.Ended() {
		return body
	}
	return &expectedBody{connection: c, head: head, body: body}
}

// expectedBody is a body whose client waits until it is asked for it.
type expectedBody struct {
	connection *connection
	head       *http1.Head
	body       *http1.Body
}

func (b *expectedBody) Read(dst []byte) (int, error) {
	if b.head.ExpectsContinue {
		b.head.ExpectsContinue = false
		if b.connection.reader.Received() == 0 {
			if err := b.connection.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
				return 0, err
			}
		}
	}
	return b.body.Read(dst)
}

// close ends the connection. The server's count of connections ends with it.
func (c *connection) close() {
	c.server.connections.remove(c)
	if c.sent != nil {
		c.sent()
	}
	if c.lingers {
		linger(c.Conn)
	}
	_ = c.Conn.Close()
	c.server.clients.give(c.client, 1)
}

// linger tells the client that nothing more will come, and discards for a while
// what it sends.
func linger(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}
