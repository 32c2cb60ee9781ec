package native

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

// exhaustionErrors are the errors of a machine or process without a descriptor, port or
// memory for a connection. They say nothing about the analyzer.
var exhaustionErrors = [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// isExhaustion reports whether a dial failed for lack of resources of this machine.
func isExhaustion(err error) bool {
	if slices.ContainsFunc(exhaustionErrors[:], func(known error) bool { return errors.Is(err, known) }) {
		return true
	}
	// The resolver keeps only the text of its errors.
	var lookup *net.DNSError
	return errors.As(err, &lookup) && slices.ContainsFunc(exhaustionErrors[:], func(known error) bool {
		return strings.HasSuffix(lookup.Err, known.Error())
	})
}

// exhaustion logs the start and the end of a period of exhaustion once each, although some
// dials may succeed in between.
type exhaustion struct {
	logger      *slog.Logger
	created     time.Time
	active      atomic.Bool
	lastFailure atomic.Int64 // nanoseconds since created
}

// exhaustionCooldown is the time without such a failure that ends the period.
const exhaustionCooldown = 5 * time.Second

// monitorExhaustion wraps dial to log exhaustion.
func monitorExhaustion(dial dialFunc, logger *slog.Logger) dialFunc {
	s := &exhaustion{logger: logger, created: time.Now()}
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		switch {
		case err == nil:
			s.succeeded()
		case isExhaustion(err):
			s.failed(err)
		}
		return conn, err
	}
}

func (s *exhaustion) succeeded() {
	if s.active.Load() && int64(time.Since(s.created))-s.lastFailure.Load() >= int64(exhaustionCooldown) && s.active.CompareAndSwap(true, false) {
		s.logger.Info("connections to the analyzer can be opened again")
	}
}

func (s *exhaustion) failed(err error) {
	s.lastFailure.Store(int64(time.Since(s.created)))
	if s.active.CompareAndSwap(false, true) {
		s.logger.Error("connections to the analyzer cannot be opened for lack of descriptors, ports or memory of this machine: "+
			"its packets wait, and no failure is counted", "error", err)
	}
}
