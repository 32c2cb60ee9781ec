// Package transport has what sinks over HTTP share: TLS, what an exchange that failed means, and
// Retry-After. It recognises connections that could not be opened for lack of descriptors, ports or
// memory of this machine, which is no evidence about a backend.
package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// known are the errors of a machine or process without a descriptor, port or memory for a
// connection.
var known = [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// IsExhausted reports whether a dial failed for lack of resources of this machine. It may be called
// concurrently.
func IsExhausted(err error) bool {
	if slices.ContainsFunc(known[:], func(one error) bool { return errors.Is(err, one) }) {
		return true
	}
	// The resolver keeps only the text of its errors.
	var lookup *net.DNSError
	return errors.As(err, &lookup) && slices.ContainsFunc(known[:], func(one error) bool {
		return strings.HasSuffix(lookup.Err, one.Error())
	})
}

// monitor logs the start and the end of a period of exhaustion once each, although some
// dials may succeed in between.
type monitor struct {
	logger      *slog.Logger
	created     time.Time
	active      atomic.Bool
	lastFailure atomic.Int64 // nanoseconds since created
}

// Cooldown is the time without such a failure that ends the period.
const Cooldown = 5 * time.Second

// Dial opens a connection.
type Dial func(ctx context.Context) (net.Conn, error)

// Monitor wraps dial to log the start and the end of exhaustion. The result may be called
// concurrently if dial may.
func Monitor(dial Dial, logger *slog.Logger) Dial {
	s := &monitor{logger: logger, created: time.Now()}
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		switch {
		case err == nil:
			s.succeeded()
		case IsExhausted(err):
			s.failed(err)
		}
		return conn, err
	}
}

func (s *monitor) succeeded() {
	if s.active.Load() && int64(time.Since(s.created))-s.lastFailure.Load() >= int64(Cooldown) && s.active.CompareAndSwap(true, false) {
		s.logger.Info("connections to the analyzer can be opened again")
	}
}

func (s *monitor) failed(err error) {
	s.lastFailure.Store(int64(time.Since(s.created)))
	if s.active.CompareAndSwap(false, true) {
		s.logger.Error("connections to the analyzer cannot be opened for lack of descriptors, ports or memory of this machine: "+
			"its packets wait, and no failure is counted", "error", err)
	}
}
