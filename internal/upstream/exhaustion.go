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

// shortagePause is the time between attempts to open a connection, at least, while this
// machine lacks the resources for it.
const exhaustionPause = 100 * time.Millisecond

// shortageErrors are those of a machine or process that has no descriptor, port or
// memory for one more connection. They say nothing of the analyzer.
var exhaustionErrors = [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// isShortage tells that a connection could not be opened for lack of this machine's
// own resources.
func isExhaustion(err error) bool {
	if slices.ContainsFunc(exhaustionErrors[:], func(shortage error) bool { return errors.Is(err, shortage) }) {
		return true
	}
	// The resolver keeps no more of its errors than their text.
	var lookup *net.DNSError
	return errors.As(err, &lookup) && slices.ContainsFunc(exhaustionErrors[:], func(shortage error) bool {
		return strings.HasSuffix(lookup.Err, shortage.Error())
	})
}

// shortage logs when connections cannot be opened for lack of resources, and when they
// can again: once each, though some may succeed in between.
type exhaustion struct {
	logger      *slog.Logger
	active      atomic.Bool
	lastFailure atomic.Int64 // when one failed so last, as counted has it
}

// shortageQuiet is how long no attempt may have failed so for it to be over.
const exhaustionCooldown = 5 * time.Second

// watched is a dial whose results are noted.
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
					"its packets wait, which is not held against it", "error", err)
			}
		}
		return conn, err
	}
}
