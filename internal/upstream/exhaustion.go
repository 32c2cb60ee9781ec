package upstream

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

// exhaustionPause is the minimum interval between dials while this machine lacks the
// resources for a connection.
const exhaustionPause = 100 * time.Millisecond

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
	active      atomic.Bool
	lastFailure atomic.Int64 // elapsed time of the last failure
}

// exhaustionCooldown is the time without such a failure that ends the period.
const exhaustionCooldown = 5 * time.Second

// monitorExhaustion wraps dial to log exhaustion.
func (u *Upstream) monitorExhaustion(dial dialFunc) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		switch s := &u.exhaustion; {
		case err == nil:
			if s.active.Load() && u.elapsed(time.Now())-s.lastFailure.Load() >= int64(exhaustionCooldown) && s.active.CompareAndSwap(true, false) {
				s.logger.Info("connections to the analyzer can be opened again")
			}
		case isExhaustion(err):
			s.lastFailure.Store(u.elapsed(time.Now()))
			if s.active.CompareAndSwap(false, true) {
				s.logger.Error("connections to the analyzer cannot be opened for lack of descriptors, ports or memory of this machine: "+
					"its packets wait, and no failure is counted", "error", err)
			}
		}
		return conn, err
	}
}
