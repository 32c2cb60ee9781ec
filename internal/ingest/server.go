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
	// maxLingering of the connections that are refused linger, so that their
	// clients get to read why.
	maxLingering = 256
	// connectionsFactor is how many times as many connections as are free one client
	// may have: a proxy has those of many emitters.
	connectionsFactor = 8
	// rejectedRetryAfter is in how many seconds a connection of too many may be
	// opened again.
	rejectedRetryAfter = 5
)

// Server serves a listener: loops serve what nearly all emitters send, and the
// connections on which anything else comes get a goroutine each.
type Server struct {
	handler     *Handler
	routes      Routes
	logger      *slog.Logger
	listener    *listener.Retrying
	patrol      *patrol
	loops       *loops
	connections *connTracker
	clients     *clientQuota // of connections
	accepting   sync.WaitGroup
	lingering   chan struct{} // holds one for each refused connection that lingers
	stopping    atomic.Bool
}

// Serve starts serving a listener; whatever cannot be read as a request is
// refused, and counted by the handler's metrics.
func (h *Handler) Serve(l net.Listener, routes Routes, timeouts Timeouts, logger *slog.Logger) *Server {
	s := &Server{
		handler:     h,
		routes:      routes,
		logger:      logger,
		listener:    listener.NewRetrying(l, logger),
		patrol:      newPatrol(timeouts),
		connections: newConnTracker(),
		clients:     newClientQuota(int64(h.config.MaxConnections), connectionsFactor),
		lingering:   make(chan struct{}, min(maxLingering, max(1, h.config.MaxConnections/8))),
	}
	s.loops = newLoops(h, s, logger)
	s.patrol.run(s.inspect)
	s.accepting.Go(s.accept)
	return s
}

// accept gives each new connection to a loop, as long as there are not too many.
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
		case !s.loops.take(conn, client):
			s.handOver(&connection{Conn: conn, client: client})
		}
	}
}

// reject answers a connection of too many. That says nothing of the journal's
// capacity, so the time that is named is a guess.
func (s *Server) reject(conn net.Conn) {
	var to Response
	s.handler.metrics.refuse(problem.Overloaded)
	to.refuse(problem.Problem{
		Code:       problem.Overloaded,
		Detail:     fmt.Sprintf("too many connections are open: there may be %d, and a client may have eight times as many as are free", s.handler.config.MaxConnections),
		RetryAfter: rejectedRetryAfter,
	})
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // whoever accepts must not be held up
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

// inspect ends the waits that are too long.
func (s *Server) inspect(now int64) {
	s.connections.each(func(c *connection) { c.waits.end(c.Conn, now) })
	s.loops.look(now)
}

// left returns how many connections are open.
func (s *Server) left() int { return s.connections.left() + s.loops.left() }

// Stop answers with refusals for the handler's DrainDelay, which end the
// connections, and then stops listening and answers the requests under way, until
// the context ends: those that are left then are cut off. The handler must drain:
// for a moment, requests that are on their way on open connections are still
// answered, with a refusal that ends the connection. After that nobody waits for
// bytes of a client any more, or one that has stalled would take all the time.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.delay(ctx)
	failed := s.listener.Close()
	s.accepting.Wait()
	s.drain(ctx)
	s.loops.endWaits()
	late := untilNone(ctx, func() int {
		s.connections.endWaits() // with an answer the next one begins
		return s.left()
	})
	if late != nil {
		s.logger.Warn("connections are cut off whose requests were not answered in time", "connections", s.left())
	}
	s.loops.end()
	s.connections.end()
	_ = untilNone(ctx, func() int { return len(s.lingering) }) // which end by themselves, soon
	s.patrol.end()
	return failed
}

// delay waits for the DrainDelay, at most for a quarter of the time.
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

// drain waits until all connections are gone, not for long: the time is wanted for
// what is left to deliver.
func (s *Server) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, atMostAQuarter(ctx, 500*time.Millisecond))
	defer cancel()
	_ = untilNone(ctx, s.left)
}

// untilNone waits until none of the connections that left counts is open.
func untilNone(ctx context.Context, left func() int) error {
	const look = 5 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for left() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// unreadableHead tells why there is no request.
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
