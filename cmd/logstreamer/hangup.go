package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// ignoreHangups ignores SIGHUP and logs each one, since its default effect
// would lose the packets in memory. Without SIGHUP on the system it does
// nothing. The caller calls stop when done.
func ignoreHangups(logger *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			logger.Warn("SIGHUP is ignored: a changed configuration needs a restart")
		}
	}()
	return func() {
		signal.Stop(signals) // no more sends on the channel after Stop
		close(signals)
		<-done
	}
}
