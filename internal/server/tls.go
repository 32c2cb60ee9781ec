package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// secured returns the connection with TLS, if the server has it. The handshake
// comes with the first read, in the connection's goroutine.
func (s *Server) secured(conn net.Conn) net.Conn {
	if s.deps.TLS == nil {
		return conn
	}
	return tls.Server(conn, s.deps.TLS)
}

// handshake completes the TLS handshake, within the time of a request, and reports whether
// requests may follow.
func (c *connection) handshake() bool {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return true
	}
	c.deadlines.startWrite()
	err := secure.HandshakeContext(context.Background()) // the sweeper bounds it
	c.deadlines.endWrite()
	if err != nil {
		c.refusePlainHTTP(err)
		if err != io.EOF && !c.server.stopping.Load() { // io.EOF: a probe that only connects
			c.server.handshakes.failed(err, c.Client.String())
		}
		return false
	}
	if chains := secure.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.certificate = chains[0][0]
	}
	c.deadlines.startRead(c.Conn, c.deadlines.sweeper.timeouts.Read)
	return true
}

// refusePlainHTTP answers a client that sends HTTP without TLS.
func (c *connection) refusePlainHTTP(err error) {
	var notTLS tls.RecordHeaderError
	if !errors.As(err, &notTLS) || notTLS.Conn == nil || !looksLikeHTTP(notTLS.RecordHeader) {
		return
	}
	to := c.server.responses.Get()
	defer c.server.responses.Put(to)
	c.server.deps.Protocol.RefuseUnreadable(&http1.Fault{Status: http.StatusBadRequest, Detail: "this port serves HTTP over TLS: use https"}, to)
	c.Lingers = true
	c.deadlines.startWrite()
	_, _ = notTLS.Conn.Write(to.AppendTo(nil, http1.Framing{Date: http1.AppendDate(nil, time.Now()), Close: true}))
	c.deadlines.endWrite()
}

// looksLikeHTTP reports whether what came instead of the header of a TLS record begins a
// request.
func looksLikeHTTP(header [5]byte) bool {
	return slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH"}, string(header[:]))
}

// closeNow closes a connection without a TLS alert, which could block.
func closeNow(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	_ = conn.Close()
}

// handshakes counts failed TLS handshakes and logs some of them. It may be used
// concurrently.
type handshakes struct {
	logger *slog.Logger
	notify func() // or nil
	count  atomic.Int64
	logged atomic.Int64 // Unix time in seconds
}

// handshakeLogInterval is the minimum number of seconds between two log lines.
const handshakeLogInterval = 10

func (h *handshakes) failed(err error, client string) {
	if h.notify != nil {
		h.notify()
	}
	count, now, logged := h.count.Add(1), time.Now().Unix(), h.logged.Load()
	if now-logged >= handshakeLogInterval && h.logged.CompareAndSwap(logged, now) {
		h.logger.Warn("a TLS handshake failed", "error", err, "client", client, "failures", count)
	}
}
