package httpsink

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

// Sink is the way to one backend.
type Sink struct {
	base    *url.URL
	backend Backend
	deps    Dependencies
	open    transport.Dial
}

// Dependencies are what a Sink uses. All functions are called concurrently.
type Dependencies struct {
	// Dial opens a connection to an address such as "host:80"; nil is that of package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS returns the configuration of one handshake with a host; nil trusts the CAs of
	// the system. It is for https only.
	TLS func(host string) *tls.Config
	// Authorization returns the Authorization field; nil is none.
	Authorization func() string
	Logger        *slog.Logger
}

// New returns the sink of the backend at a base URL, which is http or https.
func New(base *url.URL, backend Backend, deps Dependencies) *Sink {
	if deps.Dial == nil {
		deps.Dial = new(net.Dialer).DialContext
	}
	if deps.TLS == nil {
		deps.TLS = transport.TLSConfig
	}
	s := &Sink{base: base, backend: backend, deps: deps}
	s.open = transport.Monitor(func(ctx context.Context) (net.Conn, error) {
		return deps.Dial(ctx, "tcp", sink.HostPort(base))
	}, deps.Logger)
	return s
}

// Capabilities implements sink.Sink.
func (s *Sink) Capabilities() sink.Capabilities { return sink.Capabilities{MaxPackets: math.MaxInt} }

// Probe implements sink.Sink. It uses a new connection, as a new client would.
func (s *Sink) Probe(ctx context.Context, deadline time.Time) sink.Result {
	c := s.newConn()
	defer c.Close()
	probe := s.backend.Probe
	req := c.newRequest(probe.Method, probe.Path)
	if probe.Body != nil {
		req.Header.Set("Content-Type", s.backend.ContentType)
	}
	resp, err := c.exchange(ctx, req, probe.Body, deadline)
	switch {
	case err == nil && resp.Success():
		return sink.Result{Outcome: sink.Delivered}
	case err == nil:
		return sink.Result{Outcome: sink.Failed, Reason: sink.Status, Detail: "the probe was " + resp.Describe()}
	}
	return transport.ProbeResultOf(err, isUnreadable(err))
}

// NewConn implements sink.Sink.
func (s *Sink) NewConn() sink.Conn { return s.newConn() }

func (s *Sink) newConn() *conn {
	c := &conn{sink: s, codec: s.backend.NewCodec()}
	c.transport = &http.Transport{
		DialContext:            s.dial,
		DialTLSContext:         s.dialTLS,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        64 << 10,
	}
	return c
}

// dial opens a connection; net/http gives it the address of the base URL.
func (s *Sink) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := s.open(ctx)
	if err != nil {
		return nil, &transport.ConnectError{Err: err}
	}
	return bodyConn{conn}, nil
}

func (s *Sink) dialTLS(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := s.dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	secure, err := transport.Secure(ctx, conn, s.deps.TLS(s.base.Hostname()))
	if err != nil {
		return nil, &transport.ConnectError{Err: err}
	}
	return secure, nil
}

// isUnreadable reports whether an exchange failed because the response is not well-formed.
func isUnreadable(err error) bool {
	var protocol textproto.ProtocolError
	return errors.Is(err, errTooLong) || errors.As(err, &protocol) || strings.Contains(err.Error(), "malformed HTTP")
}
