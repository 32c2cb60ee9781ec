package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/listener"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Timeouts bound how long clients may take.
type Timeouts struct {
	// Read is for one request, from its first byte to its last.
	Read time.Duration
	// Idle is for the next request on a connection.
	Idle time.Duration
	// Write is for each piece of an answer.
	Write time.Duration
}

// DefaultTimeouts suit emitters far away.
func DefaultTimeouts() Timeouts {
	return Timeouts{Read: 15 * time.Second, Idle: 2 * time.Minute, Write: 10 * time.Second}
}

// Routes answers the requests of a listener, from many goroutines.
type Routes func(r *Request, to *Response)

const (
	// maxHead is how many bytes a request's head may have.
	maxHead = 8 << 10
	// maxLingering rejected connections linger, so that their clients can read the
	// answer.
	maxLingering = 256
	// connectionsFactor bounds the connections of one client to that many times the
	// free ones: a proxy has the connections of many emitters.
	connectionsFactor = 8
	// rejectedRetryAfter is Retry-After for rejected connections, in seconds.
	rejectedRetryAfter = 5
)

// Server serves a listener: event loops serve connections with fast-path requests
// only, and a goroutine each serves the others.
type Server struct {
	handler     *Handler
	routes      Routes
	logger      *slog.Logger
	listener    *listener.Retrying
	sweeper     *deadlineSweeper
	loops       *loops
	connections *connTracker
	clients     *clientQuota // of connections
	accepting   sync.WaitGroup
	lingering   chan struct{} // one element for each rejected connection that lingers
	stopping    atomic.Bool
}

// Serve starts serving a listener. Input that is not a request is refused, and
// counted by the handler's metrics.
func (h *Handler) Serve(l net.Listener, routes Routes, timeouts Timeouts, logger *slog.Logger) *Server {
	s := &Server{
		handler:     h,
		routes:      routes,
		logger:      logger,
		listener:    listener.NewRetrying(l, logger),
		sweeper:     newDeadlineSweeper(timeouts),
		connections: newConnTracker(),
		clients:     newClientQuota(int64(h.config.MaxConnections), connectionsFactor),
		lingering:   make(chan struct{}, min(maxLingering, max(1, h.config.MaxConnections/8))),
	}
	s.loops = newLoops(h, s, logger)
	s.sweeper.run(s.sweep)
	s.accepting.Go(s.accept)
	return s
}

// accept gives each new connection to a loop, or rejects it over the limit.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		client := clientOf(conn.RemoteAddr())
		switch {
		case !s.clients.take(client, 1):
			s.reject(conn)
		case !s.loops.add(conn, client):
			s.serveConnection(&connection{Conn: conn, client: client})
		}
	}
}

// reject answers a connection over the limit. The limit says nothing about the
// journal's capacity, so Retry-After is a constant.
func (s *Server) reject(conn net.Conn) {
	var to Response
	s.handler.metrics.refuse(problem.Overloaded)
	to.refuse(problem.Problem{
		Code:       problem.Overloaded,
		Detail:     fmt.Sprintf("too many connections are open: there may be %d, and a client may have eight times as many as are free", s.handler.config.MaxConnections),
		RetryAfter: rejectedRetryAfter,
	})
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // accept must not block
	_, _ = conn.Write(to.appendTo(nil, manner{date: appendDate(nil, time.Now()), last: true}))
	select {
	case s.lingering <- struct{}{}:
		go func() {
			linger(conn)
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
	s.loops.sweep(now)
}

// open returns the number of open connections.
func (s *Server) open() int { return s.connections.count() + s.loops.count() }

// Stop refuses requests for the handler's DrainDelay, closing their connections,
// then closes the listener and answers the requests in flight. When the context
// ends it closes the remaining connections. The handler must drain. After a grace
// period Stop fails all pending reads, since a stalled client would use up the
// time.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.delay(ctx)
	failed := s.listener.Close()
	s.accepting.Wait()
	s.drain(ctx)
	s.loops.failReads()
	late := untilNone(ctx, func() int {
		s.connections.failReads() // an answer starts the next read
		return s.open()
	})
	if late != nil {
		s.logger.Warn("connections are cut off whose requests were not answered in time", "connections", s.open())
	}
	s.loops.close()
	s.connections.close()
	_ = untilNone(ctx, func() int { return len(s.lingering) })
	s.sweeper.end()
	return failed
}

// delay waits for the DrainDelay, at most for a quarter of the remaining time.
func (s *Server) delay(ctx context.Context) {
	timer := time.NewTimer(atMostAQuarter(ctx, s.handler.config.DrainDelay))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func atMostAQuarter(ctx context.Context, wait time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(wait, time.Until(deadline)/4)
	}
	return wait
}

// drain waits for connections to close, briefly: deliveries need the time.
func (s *Server) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, atMostAQuarter(ctx, 500*time.Millisecond))
	defer cancel()
	_ = untilNone(ctx, s.open)
}

// untilNone polls count until it returns 0 or the context ends.
func untilNone(ctx context.Context, count func() int) error {
	const interval = 5 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for count() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// unreadableHead returns the refusal for a head that cannot be read.
func unreadableHead(err error) problem.Problem {
	why := problem.Problem{Code: problem.Malformed, Detail: "the request cannot be read: " + err.Error()}
	var fault *http1.Fault
	switch {
	case errors.As(err, &fault):
		why.Detail = fault.Detail
		if why.Status = fault.Status; fault.Status == http.StatusRequestHeaderFieldsTooLarge {
			why.Code = problem.TooLarge
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		why.Code, why.Detail = problem.SlowRequest, "the request did not arrive in time"
	}
	return why
}
