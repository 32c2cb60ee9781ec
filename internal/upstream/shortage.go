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
const shortagePause = 100 * time.Millisecond

// shortageErrors are those of a machine or process that has no descriptor, port or
// memory for one more connection. They say nothing of the analyzer.
var shortageErrors = [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// isShortage tells that a connection could not be opened for lack of this machine's
// own resources.
func isShortage(err error) bool {
	if slices.ContainsFunc(shortageErrors[:], func(shortage error) bool { return errors.Is(err, shortage) }) {
		return true
	}
	// The resolver keeps no more of its errors than their text.
	var lookup *net.DNSError
	return errors.As(err, &lookup) && slices.ContainsFunc(shortageErrors[:], func(shortage error) bool {
		return strings.HasSuffix(lookup.Err, shortage.Error())
	})
}

// shortage logs when connections cannot be opened for lack of resources, and when they
// can again: once each, though some may succeed in between.
type shortage struct {
	logger  *slog.Logger
	lasting atomic.Bool
	latest  atomic.Int64 // when one failed so last, as counted has it
}

// shortageQuiet is how long no attempt may have failed so for it to be over.
const shortageQuiet = 5 * time.Second

// watched is a dial whose results are noted.
func (u *Upstream) watched(dial dialFunc) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		switch s := &u.shortage; {
		case err == nil:
			if s.lasting.Load() && u.counted(time.Now())-s.latest.Load() >= int64(shortageQuiet) && s.lasting.CompareAndSwap(true, false) {
				s.logger.Info("connections to the analyzer can be opened again")
			}
		case isShortage(err):
			s.latest.Store(u.counted(time.Now()))
			if s.lasting.CompareAndSwap(false, true) {
				s.logger.Error("connections to the analyzer cannot be opened for lack of descriptors, ports or memory of this machine: "+
					"its packets wait, which is not held against it", "error", err)
			}
		}
		return conn, err
	}
}
