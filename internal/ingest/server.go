package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"logstreamer/internal/problem"
)

// Timeouts bound how long clients may take.
type Timeouts struct {
	// Read is for one request, from its first byte to its last.
	Read time.Duration
	// Idle is for the next request on a connection.
	Idle time.Duration
}

// DefaultTimeouts suit emitters far away.
func DefaultTimeouts() Timeouts {
	return Timeouts{Read: 15 * time.Second, Idle: 2 * time.Minute}
}

// Server serves a listener with fasthttp, which takes about half of the
// processor time that net/http takes for a small POST.
type Server struct {
	http   *fasthttp.Server
	done   chan struct{}
	failed error
}

// Serve starts serving the listener; whatever cannot be read as a request is
// refused, and counted by the handler's metrics.
func (h *Handler) Serve(listener net.Listener, routes fasthttp.RequestHandler, timeouts Timeouts, logger *slog.Logger) *Server {
	s := &Server{
		done: make(chan struct{}),
		http: &fasthttp.Server{
			Handler:                      routes,
			ErrorHandler:                 h.unreadable,
			ReadTimeout:                  timeouts.Read,
			WriteTimeout:                 10 * time.Second,
			IdleTimeout:                  timeouts.Idle,
			ReadBufferSize:               8 << 10, // bounds a request's header
			StreamRequestBody:            true,    // so that bodies can be refused unread
			DisablePreParseMultipartForm: true,
			NoDefaultServerHeader:        true,
			NoDefaultDate:                true,
			CloseOnShutdown:              true,
			TCPKeepalive:                 true,
			Logger:                       quiet{logger},
		},
	}
	go func() {
		defer close(s.done)
		s.failed = s.http.Serve(listener)
	}()
	return s
}

// Stop stops listening and waits for the requests under way.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.ShutdownWithContext(ctx)
	<-s.done
	return errors.Join(err, s.failed)
}

// unreadable answers what is no readable request.
func (h *Handler) unreadable(ctx *fasthttp.RequestCtx, err error) {
	why := problem.Problem{Code: problem.Malformed, Detail: "the request cannot be read: " + err.Error()}
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		why.Code, why.Status = problem.TooLarge, fasthttp.StatusRequestHeaderFieldsTooLarge
		why.Detail = "the request's header is larger than 8 KiB"
	case errors.As(err, &network) && network.Timeout():
		why.Code, why.Detail = problem.SlowRequest, "the request did not arrive in time"
	case errors.As(err, &network):
		return // the connection is gone
	}
	h.metrics.refused[why.Code].Inc()
	problem.Write(ctx, why)
	ctx.SetConnectionClose()
}

// quiet takes fasthttp's log lines, which are about single connections.
type quiet struct{ logger *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.logger.Debug(fmt.Sprintf(format, args...))
}
