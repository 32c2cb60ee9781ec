package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// ErrInterrupted is the error of an exchange that its context ended.
var ErrInterrupted = errors.New("interrupted")

// ConnectError wraps an error before anything was sent.
type ConnectError struct{ Err error }

// Error implements error.
func (e *ConnectError) Error() string { return "connect: " + e.Err.Error() }

// Unwrap returns Err.
func (e *ConnectError) Unwrap() error { return e.Err }

// TLSConfig returns the configuration of a handshake with a host that trusts the CAs of the system.
func TLSConfig(host string) *tls.Config {
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
}

// Secure returns a connection with TLS over conn. It closes conn if the handshake fails.
func Secure(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// IsTimeout reports whether a deadline has passed.
func IsTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// ResultOf returns the result of an exchange that failed. Unreadable means that the response is not
// well-formed.
func ResultOf(err error, unreadable bool) sink.Result {
	result := sink.Result{Outcome: sink.Failed, Reason: sink.Reset, Detail: err.Error()}
	var connect *ConnectError
	switch isConnect := errors.As(err, &connect); {
	case errors.Is(err, ErrInterrupted):
		result.Outcome, result.Reason = sink.Aborted, ""
	case isConnect && IsExhausted(err):
		result.Outcome, result.Reason, result.Unsent = sink.Aborted, sink.LocalResources, true
	case isConnect:
		result.Reason, result.Unsent = sink.Connect, true
	case unreadable:
		result.Reason = sink.Unreadable
	case IsTimeout(err):
		result.Reason = sink.Timeout
	}
	return result
}

// ProbeResultOf is ResultOf for a probe. A dial that timed out is a timeout: only a refused or reset
// connection is a sign that the backend is gone.
func ProbeResultOf(err error, unreadable bool) sink.Result {
	result := ResultOf(err, unreadable)
	if result.Outcome == sink.Failed && IsTimeout(err) {
		result.Reason = sink.Timeout
	}
	return result
}
