package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

// Closing a connection with unread input sends a reset, which can destroy the response
// on its way to the client. So a connection lingers after its last response (RFC 9112 section 9.6): it
// discards input for up to Timeouts.Linger and lingerBytes, then closes.
const lingerBytes = 64 << 20

const (
	// maxDiscard bounds the bytes of an unwanted body that are discarded to keep the
	// connection.
	maxDiscard = 64 << 10
	// pieceBytes bounds one write of a long response; each write has its own deadline.
	pieceBytes = 64 << 10
	// shortBody bounds a response's body that is copied behind its head.
	shortBody = 1 << 10
)

// connection is served by a goroutine of its own, which answers every request that
// package http1 reads.
type connection struct {
	eventloop.Fallback // with nothing but Conn and Client if no loop had the connection
	server             *Server
	deadlines          deadlines
	reader             *http1.Reader
	awaiting           bool   // the next request; guarded by deadlines.setting
	released           bool   // another Server continues with the connection
	text               []byte // buffer of a response's head and short body

	certificate *x509.Certificate // of the client, verified; nil if there is none
	session     credential.Session
}

// serveConnection serves a connection, whose next request must arrive within a time, in a
// new goroutine.
func (s *Server) serveConnection(c *connection, within time.Duration) {
	c.server, c.deadlines.sweeper = s, s.sweeper
	c.deadlines.startRead(c.Conn, within)
	s.connections.add(c)
	go c.serve()
}

// serve answers requests until the connection ends.
func (c *connection) serve() {
	defer c.close()
	if !c.sendRest() || !c.handshake() {
		return
	}
	c.reader = http1.NewReader(c, maxHead, c.Unread)
	c.Unread = nil
	for c.next() {
		c.deadlines.startRead(c.Conn, c.deadlines.sweeper.timeouts.Idle)
	}
}

// sendRest writes the rest of an event loop's response and reports whether the
// connection stays open.
func (c *connection) sendRest() bool {
	if len(c.Unsent) == 0 {
		return true
	}
	err := c.write(c.Unsent)
	if c.Sent != nil {
		c.Sent()
	}
	c.Unsent, c.Sent = nil, nil
	return err == nil && !c.Last
}

// next answers one request and reports whether the connection stays open.
func (c *connection) next() bool {
	if !c.await() {
		return false // idle timeout, closed by the client, or released
	}
	c.deadlines.startRead(c.Conn, c.deadlines.sweeper.timeouts.Read)
	to := c.server.responses.Get()
	defer c.server.responses.Put(to)
	head, err := c.reader.ReadHead()
	if errors.Is(err, io.EOF) {
		return false // after an empty line
	}
	if err != nil {
		c.server.deps.Protocol.RefuseUnreadable(err, to)
		c.Lingers = true
		_ = c.answer(&head, to, true)
		return false
	}
	body := c.reader.Body()
	r := NewRequest(&head, c.bodyOf(&head, body), c.Client, time.Now())
	r.Certificate, r.Session = c.certificate, &c.session
	c.server.deps.Routes(r, to)
	if to.Unanswered {
		return false
	}
	last := head.Close || c.server.stopping.Load() || c.server.releasing.Load() && !c.releasable() ||
		!body.Ended() && !mayDiscard(&head, body)
	c.Lingers = last
	if c.answer(&head, to, last) != nil || last {
		return false
	}
	_, err = io.Copy(io.Discard, body)
	return err == nil
}

// mayDiscard reports whether the unread rest of a body is short enough to be
// discarded. Otherwise the connection must close, since the rest would be parsed as
// the next request.
func mayDiscard(head *http1.Head, body *http1.Body) bool {
	left := body.Left()
	return left >= 0 && left <= maxDiscard && !head.ExpectsContinue
}

// answer writes the response; last means that the connection closes after it.
func (c *connection) answer(head *http1.Head, to *http1.Response, last bool) error {
	c.text = to.AppendHead(c.text[:0], http1.Framing{Date: http1.AppendDate(nil, time.Now()), Close: last, KeepAlive: head.Minor == 0})
	rest := to.Body
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
	if to.Sent != nil {
		to.Sent()
	}
	return err
}

// write writes text in pieces, each with its own deadline.
func (c *connection) write(text []byte) error {
	for len(text) > 0 {
		c.deadlines.startWrite()
		n, err := c.Conn.Write(text[:min(len(text), pieceBytes)])
		c.deadlines.endWrite()
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// bodyOf returns the body. Its first Read sends 100 Continue if the client expects
// that.
func (c *connection) bodyOf(head *http1.Head, body *http1.Body) io.Reader {
	if !head.ExpectsContinue || body.Ended() {
		return body
	}
	return &expectedBody{connection: c, head: head, body: body}
}

// expectedBody is the body of a request with Expect: 100-continue.
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

// Announced is that of the body.
func (b *expectedBody) Announced() int64 { return b.body.Announced() }

// close closes the connection, unless it is released, and returns its client's quota.
func (c *connection) close() {
	if c.released {
		c.server.release(c.Conn, c.Client) // first, for Release counts
		c.server.connections.remove(c)
		return
	}
	c.server.connections.remove(c)
	if c.Sent != nil {
		c.Sent()
	}
	if c.Lingers {
		c.server.linger(c.Conn)
	}
	_ = c.Conn.Close()
	c.server.clients.Give(c.Client, 1)
}

// linger closes the write side and discards input, see lingerBytes.
func (s *Server) linger(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		_ = secure.CloseWrite() // the alert; fails before the end of the handshake
		conn = secure.NetConn()
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(s.sweeper.timeouts.Linger))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}
