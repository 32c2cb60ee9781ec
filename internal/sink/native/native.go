// Package native is the sink of analyzers: packets as JSON, or several as NDJSON, by
// POST /ingest over HTTP/1.1. It has a strict client of its own, in which each sender owns
// its keep-alive connection.
package native

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
	"github.com/logstreamer/logstreamer/internal/tracelist"
)

// Sink is the way to one analyzer.
type Sink struct {
	base  *url.URL
	dial  transport.Dial
	epoch capabilityEpoch
	probe *conn

	self     string                   // pseudonym of this distributor; empty: loops are not detected
	gateways atomic.Pointer[[]string] // distributors that the last response to a probe named
}

// probePath is the path, below that of the analyzer's URL, of a probe.
const probePath = "/health"

// Dial opens a connection to an address such as "host:80".
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// TLS returns the configuration of one handshake with a host. It is called concurrently.
type TLS func(host string) *tls.Config

// DialBy returns a Dial for one host, which tries all addresses that a resolver finds.
func DialBy(resolver *net.Resolver) Dial {
	return (&addresses{lookup: resolver.LookupNetIP, dial: new(net.Dialer).DialContext}).open
}

// New returns the sink of the analyzer at a base URL of sink.ParseURL. A nil dial is that of the
// system's resolver; a nil secure trusts the CAs of the system. It is for https only.
func New(base *url.URL, dial Dial, secure TLS, logger *slog.Logger) *Sink {
	if dial == nil {
		dial = DialBy(net.DefaultResolver)
	}
	s := &Sink{base: base, dial: transport.Monitor(newDialer(dial, sink.HostPort(base), tlsConfig(base, secure)), logger)}
	s.epoch.init()
	s.probe = s.newConn(probePath)
	s.probe.request.prepareGet()
	return s
}

// tlsConfig returns what returns the configuration of a handshake, or nil without TLS.
func tlsConfig(base *url.URL, secure TLS) func() *tls.Config {
	if base.Scheme != "https" {
		return nil
	}
	if secure == nil {
		secure = transport.TLSConfig
	}
	return func() *tls.Config { return secure(base.Hostname()) }
}

// Capabilities implements sink.Sink.
func (s *Sink) Capabilities() sink.Capabilities {
	if s.epoch.acceptsNDJSON() {
		return sink.Capabilities{MaxPackets: math.MaxInt, MaxTraces: int(s.epoch.traces.Load())}
	}
	return sink.Capabilities{MaxPackets: 1, Stale: s.epoch.stale()}
}

// Probe implements sink.Sink. It uses a new connection, as a new client would.
func (s *Sink) Probe(ctx context.Context, deadline time.Time) sink.Result {
	epoch := s.epoch.number.Load()
	resp, err := s.probe.connection.exchange(ctx, s.probe.request, deadline)
	defer s.probe.Close()
	if err != nil {
		s.gateways.Store(nil)
	} else if loop, ok := s.checkLoop(resp); !ok {
		return loop
	}
	if err == nil && isSuccess(resp.status) {
		s.epoch.learn(epoch, acceptedTraces(resp))
	}
	return classifyProbe(s.base.JoinPath(probePath).Path, resp, err)
}

// acceptedTraces returns how many traces a request of NDJSON may have by the Accept-Post of a
// health response, 0 if that does not list NDJSON. An analyzer that does not read the header
// Traceparents has the parameter traces=1.
func acceptedTraces(r response) int {
	for kind := range strings.SplitSeq(r.field("Accept-Post"), ",") {
		kind, parameters, _ := strings.Cut(kind, ";")
		if !strings.EqualFold(strings.TrimSpace(kind), ndjsonType) {
			continue
		}
		for parameter := range strings.SplitSeq(parameters, ";") {
			name, value, _ := strings.Cut(parameter, "=")
			if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n > 0 && strings.EqualFold(strings.TrimSpace(name), "traces") {
				return min(n, tracelist.MaxEntries)
			}
		}
		return tracelist.MaxEntries
	}
	return 0
}
