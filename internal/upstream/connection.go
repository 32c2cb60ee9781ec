package upstream

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
)

// dialFunc opens a connection to the analyzer.
type dialFunc func(ctx context.Context) (net.Conn, error)

// connection is one sender's keep-alive HTTP/1.1 connection. It is opened when
// needed and closed after any doubt, so that an answer is never taken for that
// of another request. Only its sender uses it; interrupt may be called from
// anywhere.
type connection struct {
	dial         dialFunc
	reader       *responseReader
	idleCheck    idleCheck
	lastDeadline time.Time // the deadline of the exchange before; they are as far apart as the beginnings
	epoch        *capabilityEpoch
	epochNumber  int64 // of the incarnation, when the connection was good last

	mu          sync.Mutex // guards all below against interrupt
	conn        net.Conn
	stopDial    context.CancelFunc // while one is under way
	interrupted bool               // since begin
}

func newConnection(dial dialFunc, i *capabilityEpoch) *connection {
	return &connection{dial: dial, reader: newResponseReader(), epoch: i}
}

// errInterrupted is the failure of an exchange that we broke off ourselves.
var errInterrupted = errors.New("interrupted")

// errOneByOne is the failure to send several packets, of which nothing was written: the
// analyzer may be one that takes one packet a request.
var errBatchUnsupported = errors.New("it is not known whether the analyzer takes NDJSON")

// errStale marks that the other side closed a kept connection, perhaps before the
// request was written, and answered nothing; or that nothing was written, since the
// silence was broken.
type errStale struct{ cause error }

var errNotIdle = errors.New("closed, or written to, while it was not used")

// errSpokeFirst is a new connection's: what is there before the request is no answer to it.
var errUnsolicited = errors.New("closed, or written to, before anything was sent")

// idleAfter is how long after its last exchange began a connection is looked at before it
// is used, which takes a system call. What breaks the silence sooner is seen too late in any
// case, more often than not.
const idleCheckAfter = 10 * time.Millisecond

func (e *errStale) Error() string { return "the kept connection was closed: " + e.cause.Error() }
func (e *errStale) Unwrap() error { return e.cause }

// errConnect marks a failure before anything was sent.
type errConnect struct{ cause error }

func (e *errConnect) Error() string { return "connect: " + e.cause.Error() }
func (e *errConnect) Unwrap() error { return e.cause }

// lastWordWait is for the answer to a request that could not be written.
const earlyResponseTimeout = 10 * time.Millisecond

// begin comes before each exchange: an interrupt that comes after it ends the
// exchange. What would have kept the caller from sending is checked in between,
// so that it cannot be missed.
func (c *connection) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = false
}

// exchange sends a request and reads the answer, which is valid until the next
// call. After errStale the next one opens a connection. What the other side broke
// off first is not taken for an interrupt that came after.
func (c *connection) exchange(ctx context.Context, r *request, deadline time.Time) (response, error) {
	resp, err := c.doExchange(ctx, r, deadline)
	if err != nil && !closedByPeer(err) && (ctx.Err() != nil || c.wasInterrupted()) {
		err = errInterrupted
	}
	if err != nil && err != errBatchUnsupported || resp.close || c.reader.Buffered() > 0 {
		c.close()
	}
	return resp, err
}

// attempt also keeps account of the analyzer's incarnations. An analyzer that is slow
// is the same one; an end that is announced with the first answer is how some always
// end connections.
func (c *connection) doExchange(ctx context.Context, r *request, deadline time.Time) (resp response, err error) {
	number := c.epoch.number.Load()
	conn := c.current()
	reused := conn != nil
	switch {
	case !reused:
		c.epochNumber = number
		if conn, err = c.open(ctx, deadline); err != nil {
			if !isExhaustion(err) {
				c.epoch.advance(number)
			}
			return response{}, err
		}
	case deadline.Sub(c.lastDeadline) >= idleCheckAfter && !c.idleCheck.isIdle():
		c.epoch.advance(c.epochNumber)
		return response{}, &errStale{errNotIdle}
	}
	c.lastDeadline = deadline
	if r.ndjson && !c.epoch.acceptsNDJSON() {
		return response{}, errBatchUnsupported
	}
	resp, responded, err := c.roundTrip(conn, r, deadline)
	if err != nil && !isTimeout(err) || reused && resp.close {
		c.epoch.advance(c.epochNumber)
	}
	c.epochNumber = number
	if reused && !responded && closedByPeer(err) {
		err = &errStale{err}
	}
	return resp, err
}

func (c *connection) open(ctx context.Context, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if !c.register(nil, cancel) {
		return nil, errInterrupted
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, &errConnect{err}
	}
	if !c.register(conn, nil) {
		_ = conn.Close()
		return nil, errInterrupted
	}
	c.reader.Reset(conn)
	c.idleCheck.attach(conn)
	if _, encrypted := conn.(*tls.Conn); !encrypted && !c.idleCheck.isIdle() {
		return nil, &errConnect{errUnsolicited} // a session ticket may be there already when it is encrypted
	}
	return conn, nil
}

// hold notes what an interrupt is to end. It reports false, and notes nothing,
// when the interrupt has come already.
func (c *connection) register(conn net.Conn, stopDial context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return false
	}
	c.conn, c.stopDial = conn, stopDial
	return true
}

// roundTrip also reports whether the analyzer began to answer.
func (c *connection) roundTrip(conn net.Conn, r *request, deadline time.Time) (resp response, responded bool, err error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return response{}, false, err
	}
	writeErr := r.writeTo(conn)
	if writeErr != nil { // perhaps because the answer is there already
		_ = conn.SetReadDeadline(time.Now().Add(earlyResponseTimeout)) // fails if it is closed, and so will the read
	}
	// Let others work first. Under load the answer is here by then, and a read
	// that finds nothing, a wait and a wake-up are saved; otherwise this costs
	// next to nothing.
	runtime.Gosched()
	// An analyzer may refuse, and hang up or read no more, before it has read everything.
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

// closedByPeer tells whether an exchange failed because the other side had
// closed the connection.
func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// interrupt makes an exchange that has begun fail at once.
func (c *connection) interrupt() {
	c.mu.Lock()
	c.interrupted = true
	if c.stopDial != nil {
		c.stopDial()
	}
	conn := c.detachLocked()
	c.mu.Unlock()
	closeConn(conn)
}

func (c *connection) close() {
	c.mu.Lock()
	conn := c.detachLocked()
	c.mu.Unlock()
	closeConn(conn)
}

func (c *connection) detachLocked() net.Conn {
	conn := c.conn
	c.conn = nil
	return conn
}

// hangUp is called without the lock: it may take a while to say goodbye.
func closeConn(conn net.Conn) {
	if conn != nil {
		_ = conn.Close()
	}
}

func (c *connection) current() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

func (c *connection) wasInterrupted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interrupted
}

// dialer returns how to reach an analyzer: host is "name:port". Names are
// resolved for each connection, so that an analyzer may move.
func newDialer(dial func(ctx context.Context, network, address string) (net.Conn, error), host string, config *tls.Config) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, "tcp", host)
		if err != nil || config == nil {
			return conn, err
		}
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return encrypted, nil
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
