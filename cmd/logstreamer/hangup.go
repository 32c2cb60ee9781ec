package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/logstreamer/logstreamer/internal/control"
)

// ignoreHangups ignores SIGHUP and logs each one, since its default effect
// would lose the packets in memory. Without SIGHUP on the system it does
// nothing. The caller calls stop when done.
func ignoreHangups(logger *slog.Logger) (stop func()) {
	return onHangup(func() { logger.Warn("SIGHUP is ignored: a changed configuration needs a restart") })
}

// reloadOnHangup reloads the configuration at each SIGHUP. The caller calls stop when the
// context has ended.
func reloadOnHangup(ctx context.Context, c *control.Controller) (stop func()) {
	return onHangup(func() {
		_, _ = c.Reload(ctx, control.Request{Actor: control.Actor{Name: "SIGHUP"}}) // reported there
	})
}

// onHangup calls f at each SIGHUP.
func onHangup(f func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			f()
		}
	}()
	return func() {
		signal.Stop(signals) // no more sends on the channel after Stop
		close(signals)
		<-done
	}
}
