package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const largestAnswerBytes = 1 << 20

// dialFunc opens a connection to the analyzer.
type dialFunc func(ctx context.Context) (net.Conn, error)

// connection is one sender's keep-alive HTTP/1.1 connection. It is opened when
// needed and closed after any doubt. Only its sender uses it; interrupt may be
// called from anywhere.
type connection struct {
	dial   dialFunc
	reader *bufio.Reader
	answer fasthttp.Response

	mu   sync.Mutex // guards conn against interrupt
	conn net.Conn
}

func newConnection(dial dialFunc) *connection {
	return &connection{dial: dial, reader: bufio.NewReaderSize(nil, 4096)}
}

// errConnect marks a failure before anything was sent.
type errConnect struct{ cause error }

func (e *errConnect) Error() string { return "connect: " + e.cause.Error() }
func (e *errConnect) Unwrap() error { return e.cause }

// exchange sends a request and reads the answer, which is valid until the next
// call. A kept connection that the analyzer has closed meanwhile is replaced
// once.
func (c *connection) exchange(ctx context.Context, r *request, deadline time.Time) (*fasthttp.Response, error) {
	conn, kept, err := c.open(ctx, deadline)
	if err != nil {
		return nil, err
	}
	err = c.roundTrip(conn, r, deadline)
	if err != nil && kept && closedByPeer(err) {
		c.close()
		if conn, _, err = c.open(ctx, deadline); err != nil {
			return nil, err
		}
		err = c.roundTrip(conn, r, deadline)
	}
	if err != nil || c.answer.ConnectionClose() {
		c.close()
	}
	return &c.answer, err
}

func (c *connection) open(ctx context.Context, deadline time.Time) (conn net.Conn, kept bool, err error) {
	c.mu.Lock()
	conn = c.conn
	c.mu.Unlock()
	if conn != nil {
		return conn, true, nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err = c.dial(ctx)
	if err != nil {
		return nil, false, &errConnect{err}
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	c.reader.Reset(conn)
	return conn, false, nil
}

func (c *connection) roundTrip(conn net.Conn, r *request, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := r.writeTo(conn); err != nil {
		return err
	}
	// Nothing of the answer yet means that a kept connection may have been
	// closed before the request arrived.
	if _, err := c.reader.Peek(1); err != nil {
		return err
	}
	c.answer.Reset()
	if err := c.answer.ReadLimitBody(c.reader, largestAnswerBytes); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// closedByPeer tells whether an exchange failed because the other side had
// closed the connection.
func closedByPeer(err error) bool {
	return err == io.EOF || isReset(err) //nolint:errorlint // a wrapped EOF is a cut answer
}

// interrupt makes an exchange under way fail at once.
func (c *connection) interrupt() { c.close() }

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// dialer returns how to reach an analyzer: host is "name:port". Names are
// resolved for each connection, so that an analyzer may move.
func dialer(dial func(ctx context.Context, network, address string) (net.Conn, error), host string, secure *tls.Config) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, "tcp", host)
		if err != nil || secure == nil {
			return conn, err
		}
		encrypted := tls.Client(conn, secure)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return encrypted, nil
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
