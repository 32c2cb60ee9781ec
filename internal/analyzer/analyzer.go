// Package analyzer is the service that takes packets from a distributor and
// processes their messages.
//
//	POST /ingest ─▶ decode body ─▶ check ─▶ seen before? ─▶ read messages ─▶ observe
//	                                            └─ yes: counted, dropped, told
//
// It promises that a packet is processed once, as long as it comes again
// within the duplicate window, with the same ids and the same content; that it answers 2xx only for packets that are
// processed or were before; and that bad input is refused, counted and takes
// bounded memory.
package analyzer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/listener"
)

// Analyzer is one analyzer with its own listener and its own metrics. It is
// used once: New, Start, Stop. All methods may be called concurrently.
type Analyzer struct {
	config   Config
	logger   *slog.Logger
	started  time.Time
	registry *prometheus.Registry
	metrics  *metrics

	window *dedupe.Window
	tally  *tally

	listener    *listener.Retrying
	server      *fasthttp.Server
	connections connections
	workspaces  sync.Pool // of *workspace

	replyEnd []byte // the last members of each reply, as JSON

	starting sync.Once
	serving  chan struct{} // closed when no more connections are accepted
	stopping atomic.Bool
	stopOnce sync.Once
	stopErr  error
	cut      chan struct{} // closed when what is being processed must end
}

// Deps is what an Analyzer is given by the code that makes it.
type Deps struct {
	Logger *slog.Logger
}

// New makes an analyzer and binds its listener. The error names the setting or
// the address that cannot be used; then nothing is left open.
func New(config Config, deps Deps) (*Analyzer, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	bound, err := net.Listen("tcp", config.listenAddress())
	if err != nil {
		return nil, fmt.Errorf("the analyzer cannot listen on %s: %w", config.listenAddress(), err)
	}
	logger := deps.Logger.With("component", "analyzer", "analyzer", config.ID)
	now := time.Now()
	window, err := dedupe.Open(config.window(), logger, now)
	if err != nil {
		return nil, errors.Join(err, bound.Close())
	}
	a := &Analyzer{
		config:   config,
		logger:   logger,
		started:  now,
		window:   window,
		tally:    newTally(),
		listener: listener.NewRetrying(bound, logger),
		replyEnd: endOfReplies(config.ID),
		serving:  make(chan struct{}),
		cut:      make(chan struct{}),
	}
	a.registry = prometheus.NewRegistry()
	a.metrics = newMetrics(a.registry, a.tally, window)
	a.workspaces.New = func() any { return newWorkspace(config.MaxBodyBytes) }
	a.server = a.newServer()
	return a, nil
}

// Addr returns the address that the analyzer listens on, as host:port.
func (a *Analyzer) Addr() string { return a.listener.Addr().String() }

// Start begins to serve and returns at once.
func (a *Analyzer) Start() {
	a.starting.Do(func() {
		a.logger.Info("analyzer listens", "address", a.Addr())
		go a.serve()
	})
}

func (a *Analyzer) serve() {
	defer close(a.serving)
	if err := a.server.Serve(a.listener); err != nil {
		a.logger.Error("analyzer no longer accepts connections", "error", err)
	}
}

// Stop takes no more connections, answers the requests that are here, and
// returns when all is closed. When ctx ends first it cuts them off, and the
// error says so: their senders get no answer and send the packets elsewhere.
// Further calls return what the first one did.
func (a *Analyzer) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() {
		a.stopping.Store(true)
		a.stopErr = a.stop(ctx)
		a.logger.Info("analyzer stopped", "packets", a.tally.packets.Load(), "messages", a.tally.messages.Load())
	})
	return a.stopErr
}

func (a *Analyzer) stop(ctx context.Context) error {
	if err := a.listener.Close(); err != nil {
		return err
	}
	a.starting.Do(func() { close(a.serving) }) // it was never started
	<-a.serving
	err := a.server.ShutdownWithContext(ctx)
	if err != nil && errors.Is(err, ctx.Err()) {
		a.connections.closeAll() // first, so that nothing that is cut off can answer
		close(a.cut)
		err = fmt.Errorf("the analyzer cut off requests that were not answered in time: %w", err)
	}
	a.connections.wait()
	return err
}
