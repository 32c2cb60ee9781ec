// Package server moves bytes: it accepts connections, reads requests from them with
// package http1 and writes responses, within limits of connections and of time. What the
// requests are for it leaves to Routes and to a Protocol.
//
// An event loop serves a connection as long as its requests take the fast path (see
// package eventloop), then a goroutine of its own, which answers any request. With TLS all
// connections have goroutines.
package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/listener"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Timeouts bound how long clients may take.
type Timeouts struct {
	// Read is for one request, from its first byte to its last.
	Read time.Duration
	// Idle is for the next request on a connection.
	Idle time.Duration
	// Write is for each piece of a response.
	Write time.Duration
	// Linger is for what a client still sends after the response that ends its connection.
	Linger time.Duration
	// Stop and Release are for the requests that have begun when Server.Stop and
	// Server.Release begin. Stop is also for the next request on an encrypted connection, from
	// the begin of either.
	Stop, Release time.Duration
}

// DefaultTimeouts suit distant clients.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Read: 15 * time.Second, Idle: 2 * time.Minute, Write: 10 * time.Second,
		Linger: 2 * time.Second, Stop: 500 * time.Millisecond, Release: 2 * time.Second,
	}
}

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// MaxConnections bounds the open connections; one more is answered with 503 and
	// closed.
	MaxConnections int
	// DrainDelay is for how long a stop still accepts connections and answers them with
	// 503, so that load balancers have time to notice.
	DrainDelay time.Duration `env:"DRAIN_SEC" format:"seconds" min:"0" reload:"live" help:"seconds for which a stopping distributor still accepts connections and answers 503, for load balancers"`
	Timeouts   Timeouts
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{MaxConnections: 1 << 15, DrainDelay: time.Second, Timeouts: DefaultTimeouts()}
}

// Protocol gives the responses that do not answer a request that was read, and takes
// the requests of event loops. It is used concurrently.
type Protocol interface {
	// RefuseUnreadable answers a request whose head cannot be read, because of an
	// *http1.Fault, the end of the stream or os.ErrDeadlineExceeded.
	RefuseUnreadable(err error, to *http1.Response)
	// RefuseConnection answers a connection that is closed unread. The wait before
	// another attempt is in seconds.
	RefuseConnection(detail string, retryAfter int, to *http1.Response)
	// NewLoopHandler returns what takes the requests of an event loop.
	NewLoopHandler(*eventloop.Loop) eventloop.Handler
}

// Dependencies are what a Server uses.
type Dependencies struct {
	// Routes answers requests; it is called concurrently.
	Routes   func(r *Request, to *http1.Response)
	Protocol Protocol
	// TLS, unless nil, is the TLS configuration of all connections.
	TLS *tls.Config
	// HandshakeFailed, unless nil, is called after each failed TLS handshake, concurrently.
	HandshakeFailed func()
	// NoLoops means that no request takes the fast path.
	NoLoops bool
	// Released are connections that another Server has released.
	Released []net.Conn
	Logger   *slog.Logger
}

const (
	// maxHead is how many bytes a request's head may have.
	maxHead = 8 << 10
	// maxLingering rejected connections linger, so that their clients can read the
	// response.
	maxLingering = 256
	// connectionsFactor bounds the connections of one client to this multiple of the free ones: a
	// proxy has the connections of many emitters.
	connectionsFactor = 8
	// rejectedRetryAfter is Retry-After for rejected connections, in seconds.
	rejectedRetryAfter = 5
)

// Server serves a listener.
type Server struct {
	config      atomic.Pointer[Config] // see Configure
	deps        Dependencies
	listener    *listener.Retrying
	sweeper     *deadlineSweeper
	loops       *eventloop.Loops
	connections *connTracker
	clients     *clientquota.Quota // of connections
	responses   http1.ResponsePool
	handshakes  handshakes
	accepting   sync.WaitGroup
	lingering   chan struct{} // one element for each rejected connection that lingers
	stopping    atomic.Bool
	releasing   atomic.Bool
	released    released
}

// Serve starts serving a listener.
func Serve(l net.Listener, config Config, deps Dependencies) *Server {
	s := &Server{
		deps:        deps,
		listener:    listener.NewRetrying(l, deps.Logger),
		sweeper:     newDeadlineSweeper(config.Timeouts),
		connections: newConnTracker(),
		clients:     clientquota.New(int64(config.MaxConnections), connectionsFactor),
		handshakes:  handshakes{logger: deps.Logger, notify: deps.HandshakeFailed},
		lingering:   make(chan struct{}, min(maxLingering, max(1, config.MaxConnections/8))),
	}
	s.config.Store(&config)
	s.loops = s.newLoops(config)
	s.sweeper.run(s.sweep)
	for _, conn := range deps.Released {
		s.admit(conn, config.Timeouts.Idle)
	}
	s.accepting.Go(s.accept)
	return s
}

func (s *Server) newLoops(config Config) *eventloop.Loops {
	if s.deps.NoLoops {
		return new(eventloop.Loops)
	}
	return eventloop.New(eventloop.Dependencies{
		NewHandler: s.deps.Protocol.NewLoopHandler,
		FallBack:   s.fallBack,
		Closed:     func(client netip.Addr) { s.clients.Give(client, 1) },
		Read:       config.Timeouts.Read,
		Idle:       config.Timeouts.Idle,
		MaxHead:    maxHead,
		Logger:     s.deps.Logger,
	})
}

// Configure replaces DrainDelay and MaxConnections; Timeouts stay. Connections that are
// open stay open.
func (s *Server) Configure(next Config) {
	next.Timeouts = s.config.Load().Timeouts
	s.config.Store(&next)
	s.clients.SetCapacity(int64(next.MaxConnections))
}

// accept admits new connections until the listener is closed.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.admit(conn, s.config.Load().Timeouts.Read)
	}
}

// admit gives a connection, whose first request must begin within a time, to a loop, or
// rejects it over the limit. It must not be called concurrently.
func (s *Server) admit(conn net.Conn, within time.Duration) {
	client := clientquota.ClientOf(conn.RemoteAddr())
	switch {
	case !s.clients.Take(client, 1):
		s.reject(conn)
	case s.deps.TLS != nil || !s.loops.Add(conn, client, within):
		s.serveConnection(&connection{Fallback: eventloop.Fallback{Conn: s.secured(conn), Client: client}}, within)
	}
}

// reject answers a connection over the limit. When there will be capacity is unknown, so
// Retry-After is a constant.
func (s *Server) reject(conn net.Conn) {
	var to http1.Response
	s.deps.Protocol.RefuseConnection(
		fmt.Sprintf("too many connections are open: there may be %d, and a client may have eight times as many as are free", s.config.Load().MaxConnections),
		rejectedRetryAfter, &to)
	text := to.AppendTo(nil, http1.Framing{Date: http1.AppendDate(nil, time.Now()), Close: true})
	if s.deps.TLS == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // accept must not block
		_, _ = conn.Write(text)
	}
	select {
	case s.lingering <- struct{}{}:
		go func() {
			if s.deps.TLS != nil { // a handshake may block, and costs time
				conn = s.secured(conn)
				_ = conn.SetDeadline(time.Now().Add(s.sweeper.timeouts.Linger))
				_, _ = conn.Write(text)
			}
			s.linger(conn)
			_ = conn.Close()
			<-s.lingering
		}()
	default:
		_ = conn.Close()
	}
}

// sweep enforces deadlines.
func (s *Server) sweep(now int64) {
	s.connections.each(func(c *connection) { c.deadlines.enforce(c.Conn, now) })
	s.loops.Sweep(now)
}

// Connections returns how many connections are open, served by event loops and by
// goroutines.
func (s *Server) Connections() (loops, goroutines int) { return s.loops.Count(), s.connections.count() }

func (s *Server) open() int {
	loops, goroutines := s.Connections()
	return loops + goroutines
}

// Stop closes connections with their next response for the DrainDelay, then closes the
// listener and answers the requests in flight. When the context ends it closes the
// remaining connections. The Protocol should refuse requests meanwhile. After Timeouts.Stop
// it fails all pending reads, since a stalled client would use up the time.
// After Release there is no DrainDelay.
func (s *Server) Stop(ctx context.Context) error {
	s.loops.Drain()
	s.stopping.Store(true)
	if !s.releasing.Load() {
		s.delay(ctx)
	}
	failed := s.listener.Close()
	s.accepting.Wait()
	s.drain(ctx)
	s.loops.FailReads()
	answered := worker.Poll(ctx, func() bool {
		s.connections.failReads() // a response starts the next read
		return s.open() == 0
	})
	if !answered {
		s.deps.Logger.Warn("connections are cut off whose requests were not answered in time", "connections", s.open())
	}
	s.loops.Close()
	s.connections.close()
	worker.Poll(ctx, func() bool { return len(s.lingering) == 0 })
	s.sweeper.end()
	return failed
}

// delay waits for the DrainDelay, at most for a quarter of the remaining time.
func (s *Server) delay(ctx context.Context) {
	worker.Sleep(ctx, limitToQuarter(ctx, s.config.Load().DrainDelay))
}

func limitToQuarter(ctx context.Context, wait time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(wait, time.Until(deadline)/4)
	}
	return wait
}

// drain waits for connections to close, briefly: deliveries need the time.
func (s *Server) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, limitToQuarter(ctx, s.sweeper.timeouts.Stop))
	defer cancel()
	worker.Poll(ctx, func() bool { return s.open() == 0 })
}
