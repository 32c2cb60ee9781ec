// Package listener retries failed accepts, such as for too many open files,
// for servers that would stop at the first error.
package listener

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// The backoff doubles from minBackoff to maxBackoff.
const (
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
)

// Retrying is a listener whose Accept retries with backoff and whose Close may be
// called more than once.
type Retrying struct {
	net.Listener
	logger *slog.Logger
	close  sync.Once
	err    error // of closing
}

// NewRetrying wraps a listener.
func NewRetrying(l net.Listener, logger *slog.Logger) *Retrying {
	return &Retrying{Listener: l, logger: logger}
}

// Accept returns the next connection, or net.ErrClosed. It logs the first failure
// of a series and the end of the series.
func (l *Retrying) Accept() (net.Conn, error) {
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			if err == nil && backoff > minBackoff {
				l.logger.Info("accepting connections works again")
			}
			return conn, err
		}
		if backoff == minBackoff {
			l.logger.Error("a connection cannot be accepted, retrying", "error", err)
		}
		time.Sleep(backoff)
	}
}

// Close closes the listener once and always returns the result of that.
func (l *Retrying) Close() error {
	l.close.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
