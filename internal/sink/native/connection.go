package native

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

// connection is the keep-alive HTTP/1.1 connection of one sender. It is opened on demand
// and closed whenever its framing is uncertain, so that a response is never attributed
// to another request. It belongs to its sender.
type connection struct {
	dial         transport.Dial
	reader       *responseReader
	idleCheck    idleCheck
	lastDeadline time.Time // of the previous exchange; deadlines are as far apart as the starts
	epoch        *capabilityEpoch
	epochNumber  int64 // at the last successful use of the connection
	madeStale    bool  // an exchange made the capabilities stale

	mu      sync.Mutex // guards all fields below
	conn    net.Conn
	ctx     context.Context // of the last exchange; its end closes conn
	unwatch func() bool     // ends the watch of ctx
}

func newConnection(dial transport.Dial, epoch *capabilityEpoch) *connection {
	return &connection{dial: dial, reader: newResponseReader(), epoch: epoch}
}

// errBatchUnsupported is the error of a request with several packets that was not written
// because the analyzer is not known to accept NDJSON.
var errBatchUnsupported = errors.New("the analyzer is not known to accept NDJSON")

// errStale wraps the error of a reused connection that the analyzer closed without a
// response, perhaps before the request was written, or of one that failed the idle check.
type errStale struct{ cause error }

var errNotIdle = errors.New("closed, or unsolicited data, while idle")

// errUnsolicited is the error of a new connection with data before the request: that is
// no response to it.
var errUnsolicited = errors.New("closed, or unsolicited data, before the request")

// idleCheckAfter is the minimum time from the start of the last exchange for an idle check,
// which takes a system call. After a shorter time a check would mostly come too early to
// see a close.
const idleCheckAfter = 10 * time.Millisecond

func (e *errStale) Error() string { return "the reused connection was closed: " + e.cause.Error() }
func (e *errStale) Unwrap() error { return e.cause }

// earlyResponseTimeout is the time to wait for the response to a request that could not be
// written completely.
const earlyResponseTimeout = 10 * time.Millisecond

// exchange sends a request and reads the response, which is valid until the next call.
// After errStale the next call opens a connection. The end of ctx ends the exchange at once
// and closes the connection, even an idle one; a close by the analyzer before that takes
// precedence.
func (c *connection) exchange(ctx context.Context, r *request, deadline time.Time) (response, error) {
	resp, err := c.doExchange(ctx, r, deadline)
	if err != nil && !closedByPeer(err) && ctx.Err() != nil {
		err = transport.ErrInterrupted
	}
	if err != nil && err != errBatchUnsupported || resp.close || c.reader.Buffered() > 0 {
		c.close()
	}
	return resp, err
}

// doExchange also advances the capability epoch. A timeout does not: a slow analyzer is the
// same process. Neither does an announced close in the first response of a connection:
// some analyzers always do that.
func (c *connection) doExchange(ctx context.Context, r *request, deadline time.Time) (resp response, err error) {
	if ctx.Err() != nil {
		return response{}, transport.ErrInterrupted
	}
	number := c.epoch.number.Load()
	conn := c.watch(ctx)
	reused := conn != nil
	switch {
	case !reused:
		c.epochNumber = number
		if conn, err = c.open(ctx, deadline); err != nil {
			if !transport.IsExhausted(err) {
				c.advanceEpoch(number)
			}
			return response{}, err
		}
	case deadline.Sub(c.lastDeadline) >= idleCheckAfter && !c.idleCheck.isIdle():
		c.advanceEpoch(c.epochNumber)
		return response{}, &errStale{errNotIdle}
	}
	c.lastDeadline = deadline
	if r.ndjson && !c.epoch.acceptsNDJSON() {
		return response{}, errBatchUnsupported
	}
	resp, responded, err := c.roundTrip(conn, r, deadline)
	if err != nil && !transport.IsTimeout(err) || reused && resp.close {
		c.advanceEpoch(c.epochNumber)
	}
	c.epochNumber = number
	if reused && !responded && closedByPeer(err) {
		err = &errStale{err}
	}
	return resp, err
}

func (c *connection) advanceEpoch(number int64) {
	c.madeStale = c.epoch.advance(number) || c.madeStale
}

// watch makes the end of ctx close the connection, and returns the connection if it is open.
// The watch remains for further exchanges with ctx.
func (c *connection) watch(ctx context.Context) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != ctx {
		c.unwatchLocked()
		c.ctx, c.unwatch = ctx, context.AfterFunc(ctx, func() { c.closeAfter(ctx) })
	}
	return c.conn
}

func (c *connection) unwatchLocked() {
	if c.unwatch != nil {
		c.unwatch()
	}
	c.ctx, c.unwatch = nil, nil
}

// closeAfter closes the connection after the end of ctx, unless it is used with another
// context now.
func (c *connection) closeAfter(ctx context.Context) {
	c.mu.Lock()
	var conn net.Conn
	if c.ctx == ctx {
		conn = c.detachLocked()
	}
	c.mu.Unlock()
	closeConn(conn)
}

func (c *connection) open(ctx context.Context, deadline time.Time) (net.Conn, error) {
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := c.dial(dialing)
	if err != nil {
		return nil, &transport.ConnectError{Err: err}
	}
	if !c.attach(ctx, conn) {
		_ = conn.Close()
		return nil, transport.ErrInterrupted
	}
	c.reader.Reset(conn)
	c.idleCheck.attach(conn)
	if _, encrypted := conn.(*tls.Conn); !encrypted && !c.idleCheck.isIdle() {
		return nil, &transport.ConnectError{Err: errUnsolicited} // with TLS a session ticket may have been received already
	}
	return conn, nil
}

// attach stores a new connection, unless ctx has ended: then its watch may not close it.
func (c *connection) attach(ctx context.Context, conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	c.conn = conn
	return true
}

// roundTrip also reports whether the analyzer began to respond.
func (c *connection) roundTrip(conn net.Conn, r *request, deadline time.Time) (resp response, responded bool, err error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return response{}, false, err
	}
	writeErr := r.writeTo(conn)
	if writeErr != nil { // the response may have been received already
		_ = conn.SetReadDeadline(time.Now().Add(earlyResponseTimeout)) // fails if closed; so does the read
	}
	// Yield: under load the response has arrived by then, which saves a read that
	// would block, a wait and a wake-up.
	runtime.Gosched()
	// An analyzer may reject a request, and close or stop reading, before its end.
	if _, err := c.reader.Peek(1); err != nil {
		return response{}, false, err
	}
	if resp, err = c.reader.read(); err != nil || writeErr == nil {
		return resp, true, err
	}
	if isSuccess(resp.status) {
		return resp, true, writeErr
	}
	resp.close = true
	return resp, true, nil
}

// closedByPeer reports whether an exchange failed because the analyzer closed the connection.
func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (c *connection) close() {
	c.mu.Lock()
	c.unwatchLocked()
	conn := c.detachLocked()
	c.mu.Unlock()
	closeConn(conn)
}

func (c *connection) detachLocked() net.Conn {
	conn := c.conn
	c.conn = nil
	return conn
}

// closeConn must be called without the lock: closing a TLS connection may block.
func closeConn(conn net.Conn) {
	if conn != nil {
		_ = conn.Close()
	}
}

// newDialer opens connections to an analyzer at host, as "name:port". Names are resolved for each
// connection, because their addresses may change.
func newDialer(dial Dial, host string, config func() *tls.Config) transport.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, "tcp", host)
		if err != nil || config == nil {
			return conn, err
		}
		return transport.Secure(ctx, conn, config())
	}
}
