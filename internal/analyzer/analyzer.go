// Package analyzer implements the service that receives packets from a
// distributor and processes their messages.
//
//	POST /ingest ─▶ decode body ─▶ check ─▶ seen before? ─▶ read messages ─▶ observe
//	                                            └─ yes: counted, dropped, reported
//
// A packet that is repeated within the duplicate window with the same ids and
// content is processed once. 2xx is returned only for packets that are or were
// processed. Invalid input is refused, counted and uses bounded memory.
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
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Analyzer is an analyzer with its own listener and metrics. It is single-use:
// New, Start, Stop. Safe for concurrent use.
type Analyzer struct {
	config    Config
	logger    *slog.Logger
	processed func(packet.Info, []byte) // may be nil
	started   time.Time
	registry  *prometheus.Registry
	metrics   *metrics

	window   *dedupe.Window
	counters *counters

	listener    *listener.Retrying
	server      *fasthttp.Server
	connections connections
	workspaces  sync.Pool // of *workspace

	replySuffix []byte // the members that end every reply, as JSON

	starting sync.Once
	serving  chan struct{} // closed when Serve has returned
	stopping atomic.Bool
	stopOnce sync.Once
	stopErr  error
	aborted  chan struct{} // closed when processing is aborted
}

// Dependencies holds the analyzer's dependencies.
type Dependencies struct {
	Logger *slog.Logger
	// Processed, unless nil, is called with each packet that is processed, and not with
	// duplicates. It may be called concurrently, and must not retain the body.
	Processed func(info packet.Info, body []byte)
}

// New creates an analyzer and binds its listener. The error names the setting
// or the address that cannot be used; then nothing is left open.
func New(config Config, deps Dependencies) (*Analyzer, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	bound, err := net.Listen("tcp", config.listenAddress())
	if err != nil {
		return nil, fmt.Errorf("LISTEN_ADDR and PORT: %w", err)
	}
	logger := deps.Logger.With("component", "analyzer", "analyzer", config.ID)
	now := time.Now()
	window, err := dedupe.Open(config.window(), logger, now)
	if err != nil {
		return nil, errors.Join(err, bound.Close())
	}
	a := &Analyzer{
		config:      config,
		logger:      logger,
		processed:   deps.Processed,
		started:     now,
		window:      window,
		counters:    newCounters(),
		listener:    listener.NewRetrying(bound, logger),
		replySuffix: replySuffixFor(config.ID),
		serving:     make(chan struct{}),
		aborted:     make(chan struct{}),
	}
	a.registry = prometheus.NewRegistry()
	a.metrics = newMetrics(a.registry, a.counters, window)
	a.workspaces.New = func() any { return newWorkspace(config.MaxBodyBytes) }
	a.server = a.newServer()
	return a, nil
}

// Addr returns the listen address of the analyzer as host:port.
func (a *Analyzer) Addr() string { return a.listener.Addr().String() }

// Start serves in the background.
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

// Stop stops accepting connections, completes the requests in flight and
// returns when all connections are closed. When ctx is done first it aborts the
// remaining requests, and the error says so: their senders get no response and
// send the packets elsewhere. Later calls return the result of the first.
func (a *Analyzer) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() {
		a.stopping.Store(true)
		a.stopErr = a.stop(ctx)
		a.logger.Info("analyzer stopped", "packets", a.counters.packets.Load(), "messages", a.counters.messages.Load())
	})
	return a.stopErr
}

func (a *Analyzer) stop(ctx context.Context) error {
	if err := a.listener.Close(); err != nil {
		return err
	}
	a.starting.Do(func() { close(a.serving) }) // Start was not called
	<-a.serving
	err := a.server.ShutdownWithContext(ctx)
	if err != nil && errors.Is(err, ctx.Err()) {
		a.connections.closeAll() // before closing aborted, so that no aborted request is answered
		close(a.aborted)
		err = fmt.Errorf("the analyzer aborted requests in flight at the stop deadline: %w", err)
	}
	a.connections.wait()
	return err
}
