// Package natslink connects to NATS servers: with TLS and a user if they are configured, and again
// whenever the connection breaks. A Link owns its connection and may be used concurrently.
package natslink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ConnectTimeout bounds the attempt to connect to one server.
	ConnectTimeout = 2 * time.Second
	// The connection to a server that answers no pings is given up after two of them.
	pingInterval = 2 * time.Second
	maxPings     = 2
	// writeTimeout bounds a write to a server that does not read.
	writeTimeout = 2 * time.Second
)

// Link is the connection to NATS, which it opens again whenever it breaks. It may be used
// concurrently.
type Link struct {
	// Conn is the connection, and JetStream its API.
	Conn       *nats.Conn
	JetStream  jetstream.JetStream
	closed     chan struct{} // by the connection, once its goroutines have ended
	maxPayload atomic.Int64

	mu       sync.Mutex // guards the fields below
	failures int        // attempts to connect since the connection broke
	lastErr  string     // logged
}

// DefaultMaxPayload is the maximum message of a NATS server, until the server announces its own.
const DefaultMaxPayload = 1 << 20

// APITimeout bounds one request to the API of JetStream.
const APITimeout = 2 * time.Second

// Connect connects to NATS. If no server can be reached now, the link continues trying. changed
// is called from another goroutine when the connection is there, is lost, or, with the cause,
// could not be opened at any server.
func Connect(c Config, name string, logger *slog.Logger, changed func(up bool, cause error)) (*Link, error) {
	l := &Link{closed: make(chan struct{})}
	l.maxPayload.Store(DefaultMaxPayload)
	options := []nats.Option{
		nats.Name("logstreamer " + name), nats.Timeout(ConnectTimeout), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPings),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.CustomReconnectDelay(reconnectDelay), nats.FlusherTimeout(writeTimeout),
		nats.IgnoreAuthErrorAbort(),
		nats.ConnectHandler(func(conn *nats.Conn) { l.up(conn, changed) }),
		nats.ReconnectHandler(func(conn *nats.Conn) { l.up(conn, changed) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.down(logger, err, changed) }),
		nats.ReconnectErrHandler(func(conn *nats.Conn, err error) { l.failed(conn, err, changed) }),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.report(logger, err) }),
	}
	options = append(options, c.Options()...)
	conn, err := nats.Connect(string(c.Servers), options...)
	if err != nil && isTemporary(err) {
		conn, err = nats.Connect(string(c.Servers), append(options, nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return nil, fmt.Errorf("NATS_URL %s: %w", c.Servers, err)
	}
	l.Conn = conn
	l.JetStream, err = jetstream.New(conn, jetstream.WithDefaultTimeout(APITimeout))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("NATS_URL %s: %w", c.Servers, err)
	}
	return l, nil
}

// isTemporary reports whether a server may be reached later, with the same settings.
func isTemporary(err error) bool {
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	return !errors.Is(err, nats.ErrAuthorization) && !errors.Is(err, nats.ErrSecureConnRequired) && !errors.Is(err, nats.ErrSecureConnWanted) &&
		!errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) && !errors.As(err, &unknown) && !errors.As(err, &hostname)
}

// reconnectDelay is the wait before the servers are tried once more.
func reconnectDelay(attempts int) time.Duration {
	const first, longest = 10 * time.Millisecond, 250 * time.Millisecond
	return min(first<<min(attempts-1, 10), longest)
}

// Options returns the options of TLS and of the user. The files are read at each connection,
// so that new ones need no restart.
func (c Config) Options() (options []nats.Option) {
	if c.Creds != "" {
		options = append(options, nats.UserCredentials(c.Creds))
	}
	var certificate nats.TLSCertHandler
	var roots nats.RootCAsHandler
	if c.Cert != "" {
		certificate = func() (tls.Certificate, error) { return tls.LoadX509KeyPair(c.Cert, c.Key) }
	}
	if c.CA != "" {
		roots = func() (*x509.CertPool, error) { return readPool(c.CA) }
	}
	if certificate != nil || roots != nil {
		options = append(options, nats.ClientTLSConfig(certificate, roots))
	}
	return options
}

func readPool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("NATS_CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("NATS_CA %q has no certificate in PEM", path)
	}
	return pool, nil
}

func (l *Link) up(conn *nats.Conn, changed func(bool, error)) {
	l.maxPayload.Store(conn.MaxPayload())
	l.mu.Lock()
	l.failures = 0
	l.mu.Unlock()
	changed(true, nil)
}

func (l *Link) down(logger *slog.Logger, err error, changed func(bool, error)) {
	if err == nil { // the connection was closed on purpose
		return
	}
	logger.Warn("the connection to NATS is lost", "error", err)
	changed(false, nil)
}

// failed counts a failed attempt to connect.
func (l *Link) failed(conn *nats.Conn, err error, changed func(bool, error)) {
	l.mu.Lock()
	l.failures++
	all := l.failures >= len(conn.Servers())
	l.mu.Unlock()
	if all {
		changed(false, fmt.Errorf("no NATS server can be reached: %w", err))
	}
}

// report logs an error of the connection, unless it is the one before.
func (l *Link) report(logger *slog.Logger, err error) {
	l.mu.Lock()
	known := l.lastErr == err.Error()
	l.lastErr = err.Error()
	l.mu.Unlock()
	if !known {
		logger.Warn("NATS reports an error", "error", err)
	}
}

// MaxPayload returns the size of the largest message that the server takes.
func (l *Link) MaxPayload() int64 { return l.maxPayload.Load() }

// IsConnected reports whether the connection is there.
func (l *Link) IsConnected() bool { return l.Conn.IsConnected() }

// Close closes the connection and waits for its goroutines.
func (l *Link) Close() {
	l.Conn.Close()
	<-l.closed
}
