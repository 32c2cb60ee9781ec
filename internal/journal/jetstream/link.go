package jetstream

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
	connectTimeout = 2 * time.Second
	// The connection to a server that answers no pings is given up after two of them.
	pingInterval = 2 * time.Second
	maxPings     = 2
	// writeTimeout bounds a write to a server that does not read.
	writeTimeout = 2 * time.Second
)

// link is the connection to NATS, which it opens again whenever it breaks.
type link struct {
	conn       *nats.Conn
	js         jetstream.JetStream
	closed     chan struct{} // by the connection, once its goroutines have ended
	maxPayload atomic.Int64

	mu       sync.Mutex // guards the fields below
	failures int        // attempts to connect since the connection broke
	lastErr  string     // logged
}

// usualMaxPayload is that of a NATS server, until it says its own.
const usualMaxPayload = 1 << 20

// connect connects to NATS. If no server can be reached now, the link goes on trying. changed
// is called from another goroutine when the connection is there, is lost, or could not be
// opened at any server.
func connect(c Config, name string, logger *slog.Logger, changed func(up bool, cause error)) (*link, error) {
	l := &link{closed: make(chan struct{})}
	l.maxPayload.Store(usualMaxPayload)
	options := []nats.Option{
		nats.Name("logstreamer " + name), nats.Timeout(connectTimeout), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPings),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.CustomReconnectDelay(reconnectDelay), nats.FlusherTimeout(writeTimeout),
		nats.IgnoreAuthErrorAbort(),
		nats.ConnectHandler(func(*nats.Conn) { l.up(changed) }),
		nats.ReconnectHandler(func(*nats.Conn) { l.up(changed) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.down(logger, err, changed) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.failed(err, changed) }),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.report(logger, err) }),
	}
	options = append(options, credentials(c)...)
	conn, err := nats.Connect(string(c.Servers), options...)
	if err != nil && mayPass(err) {
		conn, err = nats.Connect(string(c.Servers), append(options, nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return nil, fmt.Errorf("NATS_URL %s: %w", c.Servers, err)
	}
	l.conn = conn
	l.js, err = jetstream.New(conn, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("NATS_URL %s: %w", c.Servers, err)
	}
	return l, nil
}

// mayPass reports whether a server may be reached later, with the same settings.
func mayPass(err error) bool {
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

// credentials returns the options of TLS and of the user. The files are read at each
// connection, so that new ones need no restart.
func credentials(c Config) (options []nats.Option) {
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

func (l *link) up(changed func(bool, error)) {
	l.mu.Lock()
	l.failures = 0
	l.mu.Unlock()
	changed(true, nil)
}

func (l *link) down(logger *slog.Logger, err error, changed func(bool, error)) {
	if err == nil { // the connection was closed on purpose
		return
	}
	logger.Warn("the connection to NATS is lost", "error", err)
	changed(false, nil)
}

// failed counts a failed attempt to connect.
func (l *link) failed(err error, changed func(bool, error)) {
	l.mu.Lock()
	l.failures++
	all := l.failures >= len(l.conn.Servers())
	l.mu.Unlock()
	if all {
		changed(false, fmt.Errorf("no NATS server can be reached: %w", err))
	}
}

// report logs an error of the connection, unless it is the one before.
func (l *link) report(logger *slog.Logger, err error) {
	l.mu.Lock()
	known := l.lastErr == err.Error()
	l.lastErr = err.Error()
	l.mu.Unlock()
	if !known {
		logger.Warn("NATS reports an error", "error", err)
	}
}

func (l *link) isConnected() bool { return l.conn.IsConnected() }

// close closes the connection and waits for its goroutines.
func (l *link) close() {
	l.conn.Close()
	<-l.closed
}
