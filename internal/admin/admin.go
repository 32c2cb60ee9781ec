// Package admin is the admin API of a distributor: HTTP over package control, which changes
// the distributor, and the distributor itself, which reports its state.
//
//	client ─▶ guard ─▶ route ─▶ handler ─▶ control.Controller ─▶ distributor
//	          host, origin,      decode,
//	          credential, role   encode
//
// The guard keeps out who may not use the API, and records in the audit log what changes
// something. openapi.json describes all paths; tests hold each response to it.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/console"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/listener"
)

const (
	// maxConnections bounds the connections, and maxAddressConnections the connections of one
	// client address: a proxy has one address for all streams.
	maxConnections        = 256
	maxAddressConnections = maxConnections / 2
	maxHeaderBytes        = 16 << 10
	// maxEventStreams and maxTraceStreams bound streams; the data plane bounds the other kinds.
	maxEventStreams = 32
	maxTraceStreams = 2
)

// Dependencies are what an admin API needs.
type Dependencies struct {
	Controller *control.Controller
	// Access has the TLS of the listener, too.
	Access *Access
	// DataDir is where the audit log is.
	DataDir string
	// Upgrader replaces the program; nil: the program cannot be replaced.
	Upgrader Upgrader
	// Demo makes analyzers fail and recover, for the page of a demo; nil: the distributor is no
	// demo, and the API has no such path.
	Demo Demo
	// Identity identifies the distributor to other distributors; an identity without a name is
	// derived from the addresses.
	Identity Identity
	// Cluster is nil without other distributors.
	Cluster Cluster
	// Version is the version of the program.
	Version    string
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Upgrader replaces the program of the running process.
type Upgrader interface {
	// Preflight checks whether the new program can take over.
	Preflight(ctx context.Context) error
	// Request replaces the program. It returns when the new program is about to take over; then the
	// caller of Serve calls Stop, which completes the response.
	Request(ctx context.Context) error
}

// Demo makes analyzers fail. It may be used concurrently.
type Demo interface {
	// StopAnalyzer stops an analyzer during its requests.
	StopAnalyzer(id string) error
	// StartAnalyzer starts a stopped analyzer.
	StartAnalyzer(id string) error
}

// api serves requests. It may be used concurrently.
type api struct {
	control     *control.Controller
	access      *Access
	audit       *audit
	metrics     *metrics
	logger      *slog.Logger
	routes      routes
	crossOrigin *http.CrossOriginProtection
	stopping    context.Context // ends with Stop
	upgrader    Upgrader
	console     *console.Handler
	demo        Demo
	identify    func() Identity
	version     string
	started     time.Time
	cluster     Cluster
	local       bool // only processes of this machine can connect
	overviews   overviews

	eventStreams, traceStreams slots
}

// Server serves an admin API. It is used once.
type Server struct {
	api      *api
	http     *http.Server
	endReads context.CancelFunc // streams, and requests that wait
	done     chan struct{}
}

// Serve serves an admin API on a listener until Stop.
func Serve(l net.Listener, deps Dependencies) (*Server, error) {
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Server{api: newAPI(deps, m), done: make(chan struct{})}
	s.api.console = console.New(deps.Demo != nil)
	s.api.identify = func() Identity { return deps.identity(l.Addr().String(), s.api.started) }
	s.api.stopping, s.endReads = context.WithCancel(context.Background())
	s.api.local = isLocal(l.Addr())
	bounded := listener.NewBounded(listener.NewRetrying(l, deps.Logger), maxConnections, maxAddressConnections, m.displaced.Inc)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:                      s.api,
		Protocols:                    &protocols,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 maxWait + writeTimeout,
		IdleTimeout:                  30 * time.Second,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ConnState:                    bounded.Changed,
		ErrorLog:                     slog.NewLogLogger(deps.Logger.Handler(), slog.LevelDebug),
	}
	serving := net.Listener(bounded)
	if secure := deps.Access.secure; secure != nil {
		serving = tls.NewListener(serving, secure.TLS())
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(serving); !errors.Is(err, http.ErrServerClosed) {
			deps.Logger.Error("the admin API is no longer served", "error", err)
		}
	}()
	return s, nil
}

func newAPI(deps Dependencies, m *metrics) *api {
	served := append(allRoutes(), pageRoutes()...)
	if deps.Demo != nil {
		served = append(served, demoRoutes()...)
	}
	return &api{
		control: deps.Controller, access: deps.Access, metrics: m, logger: deps.Logger, routes: served,
		audit:       newAudit(deps.DataDir, deps.Logger, m.auditFailures),
		crossOrigin: http.NewCrossOriginProtection(), upgrader: deps.Upgrader, demo: deps.Demo, cluster: deps.Cluster, version: deps.Version, started: time.Now(),
		eventStreams: make(slots, maxEventStreams), traceStreams: make(slots, maxTraceStreams),
	}
}

// Stop ends streams and waiting requests, completes the other requests until the context ends, and
// closes the listener.
func (s *Server) Stop(ctx context.Context) error {
	s.endReads()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	s.api.audit.close()
	return err
}
