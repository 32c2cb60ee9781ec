package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// ignoreHangups keeps SIGHUP from ending the process, with the packets that it
// holds, and logs each. Where the system has no such signal nothing happens.
// The caller calls stop when it is done.
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
		signal.Stop(signals) // nothing is sent to the channel after that
		close(signals)
		<-done
	}
}
