package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

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

const (
	// mostHeader is how many bytes a request's header may have.
	mostHeader = 8 << 10
	// mostConnections may be open; one that was handed over holds about 8 KiB
	// while it is idle. One more is answered 503 and closed.
	mostConnections = 1 << 15
	// mostLeaving of those linger, so that their clients get to read why.
	mostLeaving = 256
)

// Server serves a listener: loops serve what nearly all emitters send, and the
// connections on which anything else comes are handed over to fasthttp, which
// takes about half of the processor time that net/http takes for a small POST.
type Server struct {
	handler   *Handler
	logger    *slog.Logger
	fallback  *fasthttp.Server // the HTTP library's
	loops     *loops
	openings  *openings
	accepting sync.WaitGroup
	leaving   chan struct{} // holds one for each connection of too many that lingers
	stopping  atomic.Bool
	done      chan struct{}
	failed    error
}

// Serve starts serving a listener; whatever cannot be read as a request is
// refused, and counted by the handler's metrics.
func (h *Handler) Serve(l net.Listener, routes fasthttp.RequestHandler, timeouts Timeouts, logger *slog.Logger) *Server {
	s := &Server{
		handler:  h,
		logger:   logger,
		openings: newOpenings(listener.NewSteady(l, logger), newPatrol(timeouts)),
		leaving:  make(chan struct{}, mostLeaving),
		done:     make(chan struct{}),
		fallback: h.newFallback(logger),
	}
	s.fallback.Handler = s.around(routes)
	s.loops = newLoops(h, s, logger)
	s.openings.patrol.run(s.patrol)
	s.accepting.Go(s.accept)
	go func() {
		defer close(s.done)
		s.failed = s.fallback.Serve(s.openings)
	}()
	return s
}

// newFallback returns the library's server, but for what it serves.
func (h *Handler) newFallback(logger *slog.Logger) *fasthttp.Server {
	return &fasthttp.Server{
		HeaderReceived:               h.lookAtHeader,
		ExpectHandler:                h.expect,
		ErrorHandler:                 h.unreadable,
		ConnState:                    noteBeginning,
		Concurrency:                  mostConnections,
		ReadBufferSize:               mostHeader,
		StreamRequestBody:            true, // so that bodies can be refused unread
		MaxRequestBodySize:           1,    // bytes of a body that are here before the handler is called
		ReduceMemoryUsage:            true, // else an answer waits for a request that has begun behind it
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultDate:                true,
		SecureErrorLogMessage:        true,
		Logger:                       quiet{logger},
	}
}

// noteBeginning is told of each request's first byte.
func noteBeginning(conn net.Conn, state fasthttp.ConnState) {
	if c, ok := conn.(*connection); ok && state == fasthttp.StateActive {
		c.begin()
	}
}

// accept gives each new connection to a loop, as long as there are not too many.
func (s *Server) accept() {
	for {
		conn, err := s.openings.Steady.Accept()
		switch {
		case err != nil:
			return
		case s.left() >= mostConnections:
			s.sendAway(conn)
		case !s.loops.take(conn):
			s.openings.handOver(&connection{Conn: conn})
		}
	}
}

// sendAway answers a connection of too many.
func (s *Server) sendAway(conn net.Conn) {
	var to reply
	s.handler.turnAway(&to, problem.Problem{
		Code: problem.Overloaded, Detail: fmt.Sprintf("%d connections are open, which is the most", mostConnections),
	})
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // whoever accepts must not be held up
	_, _ = conn.Write(to.appendTo(nil, true))
	select {
	case s.leaving <- struct{}{}:
		go func() {
			linger(conn)
			_ = conn.Close()
			<-s.leaving
		}()
	default:
		_ = conn.Close()
	}
}

// patrol ends the waits that are too long.
func (s *Server) patrol(now int64) {
	s.openings.each(func(c *connection) { c.waits.end(c.Conn, now) })
	s.loops.look(now)
}

// left returns how many connections are open.
func (s *Server) left() int { return s.openings.left() + s.loops.left() }

// around does what every request needs after it was answered.
func (s *Server) around(routes fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		routes(ctx)
		leaveBody(ctx)
		if s.stopping.Load() {
			ctx.SetConnectionClose()
		}
	}
}

// Stop stops listening and answers the requests under way, until the context
// ends: those that are left then are cut off. The handler must drain: for a
// moment, requests that are on their way on open connections are still
// answered, with a refusal that ends the connection. After that nobody waits for
// bytes of a client any more, or one that has stalled would take all the time.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	failed := s.openings.Close()
	s.accepting.Wait()
	s.farewell(ctx)
	s.loops.endWaits()
	late := untilNone(ctx, func() int {
		s.openings.endWaits() // with an answer the next one begins
		return s.left()
	})
	if late != nil {
		s.logger.Warn("connections are cut off whose requests were not answered in time", "connections", s.left())
	}
	s.loops.end()
	s.openings.end()
	<-s.done
	_ = untilNone(ctx, func() int { return len(s.leaving) }) // which end by themselves, soon
	s.openings.patrol.end()
	return errors.Join(failed, s.failed)
}

// farewell waits until all connections are gone, not for long: the time is
// wanted for what is left to deliver.
func (s *Server) farewell(ctx context.Context) {
	longest := 500 * time.Millisecond
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(deadline)/4)
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
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

// unreadable answers what is no readable request.
func (h *Handler) unreadable(ctx *fasthttp.RequestCtx, err error) {
	why := problem.Problem{Code: problem.Malformed, Detail: "the request cannot be read: " + err.Error()}
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.As(err, &small):
		why.Code, why.Status = problem.TooLarge, fasthttp.StatusRequestHeaderFieldsTooLarge
		why.Detail = fmt.Sprintf("the request's header is larger than %d bytes", mostHeader)
	case errors.Is(err, os.ErrDeadlineExceeded):
		why.Code, why.Detail = problem.SlowRequest, "the request did not arrive in time"
	}
	h.refuse(ctx, why)
	giveUp(ctx)
}

// quiet takes fasthttp's log lines, which are about single connections.
type quiet struct{ logger *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.logger.Debug(fmt.Sprintf(format, args...))
}
