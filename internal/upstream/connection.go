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
	dial        dialFunc
	reader      *responseReader
	silence     silence
	latest      time.Time // the deadline of the exchange before; they are as far apart as the beginnings
	incarnation *incarnation
	number      int64 // of the incarnation, when the connection was good last

	mu          sync.Mutex // guards all below against interrupt
	conn        net.Conn
	stopDial    context.CancelFunc // while one is under way
	interrupted bool               // since begin
}

func newConnection(dial dialFunc, i *incarnation) *connection {
	return &connection{dial: dial, reader: newResponseReader(), incarnation: i}
}

// errInterrupted is the failure of an exchange that we broke off ourselves.
var errInterrupted = errors.New("interrupted")

// errOneByOne is the failure to send several packets, of which nothing was written: the
// analyzer may be one that takes one packet a request.
var errOneByOne = errors.New("it is not known whether the analyzer takes NDJSON")

// errStale marks that the other side closed a kept connection, perhaps before the
// request was written, and answered nothing; or that nothing was written, since the
// silence was broken.
type errStale struct{ cause error }

var errSilenceBroken = errors.New("closed, or written to, while it was not used")

// errSpokeFirst is a new connection's: what is there before the request is no answer to it.
var errSpokeFirst = errors.New("closed, or written to, before anything was sent")

// idleAfter is how long after its last exchange began a connection is looked at before it
// is used, which takes a system call. What breaks the silence sooner is seen too late in any
// case, more often than not.
const idleAfter = 10 * time.Millisecond

func (e *errStale) Error() string { return "the kept connection was closed: " + e.cause.Error() }
func (e *errStale) Unwrap() error { return e.cause }

// errConnect marks a failure before anything was sent.
type errConnect struct{ cause error }

func (e *errConnect) Error() string { return "connect: " + e.cause.Error() }
func (e *errConnect) Unwrap() error { return e.cause }

// lastWordWait is for the answer to a request that could not be written.
const lastWordWait = 10 * time.Millisecond

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
	answer, err := c.attempt(ctx, r, deadline)
	if err != nil && !closedByPeer(err) && (ctx.Err() != nil || c.wasInterrupted()) {
		err = errInterrupted
	}
	if err != nil && err != errOneByOne || answer.last || c.reader.Buffered() > 0 {
		c.close()
	}
	return answer, err
}

// attempt also keeps account of the analyzer's incarnations. An analyzer that is slow
// is the same one; an end that is announced with the first answer is how some always
// end connections.
func (c *connection) attempt(ctx context.Context, r *request, deadline time.Time) (answer response, err error) {
	number := c.incarnation.number.Load()
	conn := c.kept()
	kept := conn != nil
	switch {
	case !kept:
		c.number = number
		if conn, err = c.open(ctx, deadline); err != nil {
			if !isShortage(err) {
				c.incarnation.end(number)
			}
			return response{}, err
		}
	case deadline.Sub(c.latest) >= idleAfter && !c.silence.unbroken():
		c.incarnation.end(c.number)
		return response{}, &errStale{errSilenceBroken}
	}
	c.latest = deadline
	if r.several && !c.incarnation.takesLines() {
		return response{}, errOneByOne
	}
	answer, answering, err := c.roundTrip(conn, r, deadline)
	if err != nil && !isTimeout(err) || kept && answer.last {
		c.incarnation.end(c.number)
	}
	c.number = number
	if kept && !answering && closedByPeer(err) {
		err = &errStale{err}
	}
	return answer, err
}

func (c *connection) open(ctx context.Context, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if !c.hold(nil, cancel) {
		return nil, errInterrupted
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, &errConnect{err}
	}
	if !c.hold(conn, nil) {
		_ = conn.Close()
		return nil, errInterrupted
	}
	c.reader.Reset(conn)
	c.silence.of(conn)
	if _, encrypted := conn.(*tls.Conn); !encrypted && !c.silence.unbroken() {
		return nil, &errConnect{errSpokeFirst} // a session ticket may be there already when it is encrypted
	}
	return conn, nil
}

// hold notes what an interrupt is to end. It reports false, and notes nothing,
// when the interrupt has come already.
func (c *connection) hold(conn net.Conn, stopDial context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return false
	}
	c.conn, c.stopDial = conn, stopDial
	return true
}

// roundTrip also reports whether the analyzer began to answer.
func (c *connection) roundTrip(conn net.Conn, r *request, deadline time.Time) (answer response, answering bool, err error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return response{}, false, err
	}
	unsent := r.writeTo(conn)
	if unsent != nil { // perhaps because the answer is there already
		_ = conn.SetReadDeadline(time.Now().Add(lastWordWait)) // fails if it is closed, and so will the read
	}
	// Let others work first. Under load the answer is here by then, and a read
	// that finds nothing, a wait and a wake-up are saved; otherwise this costs
	// next to nothing.
	runtime.Gosched()
	// An analyzer may refuse, and hang up or read no more, before it has read everything.
	if _, err := c.reader.Peek(1); err != nil {
		return response{}, false, err
	}
	if answer, err = c.reader.read(); err != nil || unsent == nil {
		return answer, true, err
	}
	if isSuccess(answer.status) {
		return answer, true, unsent
	}
	answer.last = true
	return answer, true, nil
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
	conn := c.letGoLocked()
	c.mu.Unlock()
	hangUp(conn)
}

func (c *connection) close() {
	c.mu.Lock()
	conn := c.letGoLocked()
	c.mu.Unlock()
	hangUp(conn)
}

func (c *connection) letGoLocked() net.Conn {
	conn := c.conn
	c.conn = nil
	return conn
}

// hangUp is called without the lock: it may take a while to say goodbye.
func hangUp(conn net.Conn) {
	if conn != nil {
		_ = conn.Close()
	}
}

func (c *connection) kept() net.Conn {
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
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
