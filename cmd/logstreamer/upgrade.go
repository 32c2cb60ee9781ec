package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/upgrade"
)

// The names of listeners in LISTEN_FDNAMES. They are an interface between versions.
const (
	ingestListener  = "ingest"
	metricsListener = "metrics"
)

func listenerNames() []string { return []string{ingestListener, metricsListener} }

// inheritedSockets returns the sockets with which this process was started.
func inheritedSockets(inherited *upgrade.Inheritance) (sockets distributor.Sockets, err error) {
	var failed error
	sockets.Ingest, err = inherited.Listener(ingestListener)
	sockets.Metrics, failed = inherited.Listener(metricsListener)
	if err = errors.Join(err, failed); err != nil {
		sockets.Close()
		return distributor.Sockets{}, err
	}
	sockets.Connections = inherited.Connections()
	return sockets, nil
}

// takenOver ends an upgrade whose outcome is this process, once it serves.
func (r *runner) takenOver() {
	if reason := r.inherited.Failure(); reason != "" {
		r.logger.Error("the new binary could not start: this one has taken over again", "reason", reason)
		r.upgrader.Count(upgrade.StartFailed)
	}
	if r.inherited.Upgraded() {
		r.logger.Info("the upgrade is complete")
		r.upgrader.Count(upgrade.Completed)
	}
	r.inherited.Ready()
}

// handOver checks the new binary and stops the distributor for it. After an error the
// distributor serves.
func (r *runner) handOver(ctx context.Context, d *distributor.Distributor) (distributor.Sockets, error) {
	r.logger.Info("an upgrade begins with the preflight of the new binary", "program", r.upgrader.Program())
	if err := r.upgrader.Preflight(ctx, "distributor"); err != nil {
		r.upgrader.Count(upgrade.PreflightFailed)
		return distributor.Sockets{}, err
	}
	notifyServiceManager(r.logger, daemon.SdNotifyReloading)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Config().ShutdownTimeout)
	defer cancel()
	sockets, err := d.Handover(ctx)
	if err != nil {
		r.upgrader.Count(upgrade.Undelivered)
	}
	return sockets, err
}

// exec executes the new binary. It returns if that fails.
func (r *runner) exec(sockets distributor.Sockets) {
	r.logger.Info("the new binary is executed", "program", r.upgrader.Program(), "connections", len(sockets.Connections))
	err := r.upgrader.Exec("distributor", upgrade.Sockets{
		Listeners:   map[string]net.Listener{ingestListener: sockets.Ingest, metricsListener: sockets.Metrics},
		Connections: sockets.Connections,
	})
	r.logger.Error("the new binary cannot be executed: this one goes on", "error", err)
	r.upgrader.Count(upgrade.ExecFailed)
}

// reportPassed tells the process that upgrades to this binary that it can.
func reportPassed(p process) error {
	_, err := fmt.Fprintln(p.stdout, upgrade.Passed)
	return err
}

// fallBack returns to the binary before, if this one was to replace it and fails before it
// serves.
func (p process) fallBack(reason error) {
	if p.inherited == nil {
		return // in tests
	}
	if err := p.inherited.FallBack(reason); err != nil {
		_, _ = fmt.Fprintln(p.stderr, "logstreamer: the binary before cannot take over:", err)
	}
}

// notifyServiceManager tells systemd of a change of state, if it started this process.
func notifyServiceManager(logger *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn("the service manager cannot be notified", "state", state, "error", err)
	}
}

// upgradeOnSignal requests an upgrade at each SIGUSR2. The caller calls stop when the
// context has ended.
func upgradeOnSignal(ctx context.Context, u *upgrade.Upgrader, logger *slog.Logger) (stop func()) {
	signals, stopSignals := notifyUpgrades()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			if err := u.Request(ctx); err != nil && ctx.Err() == nil {
				logger.Error("the upgrade failed, the distributor goes on", "error", err)
			}
		}
	}()
	return func() {
		stopSignals()
		<-done
	}
}
