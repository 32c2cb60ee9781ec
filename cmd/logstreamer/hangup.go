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
	return onHangup(nil, func() { logger.Warn("SIGHUP is ignored: a changed configuration needs a restart") })
}

// reloadOnHangup reloads the configuration at each SIGHUP, from the time when the channel is
// closed. The caller calls stop when the context has ended.
func reloadOnHangup(ctx context.Context, ready <-chan struct{}, c *control.Controller) (stop func()) {
	return onHangup(ready, func() {
		_, _ = c.Reload(ctx, control.Request{Actor: control.Actor{Name: "SIGHUP"}}) // reported there
	})
}

// onHangup calls f at each SIGHUP. Those that come before the channel is closed, if there is
// one, count as one.
func onHangup(ready <-chan struct{}, f func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if ready != nil {
			select {
			case <-ready:
			case <-stopped:
				return
			}
		}
		for range signals {
			f()
		}
	}()
	return func() {
		signal.Stop(signals) // no more sends on the channel after Stop
		close(signals)
		close(stopped)
		<-done
	}
}
