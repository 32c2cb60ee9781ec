// Package listener accepts connections for servers that would give up too
// early: a failure to accept one connection, such as too many open files, is
// waited out and logged once.
package listener

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// The pause after a failure doubles between these.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Steady is a listener that goes on. Close may be called again, by a server
// too; everything else is the listener's own.
type Steady struct {
	net.Listener
	logger *slog.Logger
	close  sync.Once
	err    error // of closing
}

// NewSteady wraps a listener.
func NewSteady(l net.Listener, logger *slog.Logger) *Steady {
	return &Steady{Listener: l, logger: logger}
}

// Accept waits for the next connection, or returns net.ErrClosed.
func (l *Steady) Accept() (net.Conn, error) {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			if err == nil && pause > shortestPause {
				l.logger.Info("connections are accepted again")
			}
			return conn, err
		}
		if pause == shortestPause {
			l.logger.Error("a connection cannot be accepted, trying again", "error", err)
		}
		time.Sleep(pause)
	}
}

// Close closes the listener; only the first call does anything.
func (l *Steady) Close() error {
	l.close.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
