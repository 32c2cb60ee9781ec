package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/listener"
	"github.com/logstreamer/logstreamer/internal/upgrade"
)

// The names of listeners in LISTEN_FDNAMES, beside those of inputs. They are an interface between
// versions.
const (
	ingestListener  = "ingest"
	metricsListener = "metrics"
	adminListener   = "admin"
)

func listenerNames() []string {
	listeners, datagrams := distributor.ListeningInputs()
	return slices.Concat([]string{ingestListener, metricsListener, adminListener}, listeners, datagrams)
}

// sockets are what one instance hands over to another.
type sockets struct {
	distributor.Sockets
	admin net.Listener // nil if there is none
}

func (s sockets) Close() {
	s.Sockets.Close()
	_ = closeListener(s.admin)
}

// upgrades are the upgrades that the admin API requests.
type upgrades struct{ *upgrade.Upgrader }

// Preflight implements admin.Upgrader.
func (u upgrades) Preflight(ctx context.Context) error {
	return u.Upgrader.Preflight(ctx, "distributor")
}

// inheritedSockets returns the sockets with which this process was started, without the connections.
func inheritedSockets(inherited *upgrade.Inheritance) (taken sockets, err error) {
	var errs []error
	for name, l := range map[string]*net.Listener{ingestListener: &taken.Ingest, metricsListener: &taken.Metrics, adminListener: &taken.admin} {
		*l, err = inherited.Listener(name)
		errs = append(errs, err)
	}
	taken.Inputs, taken.Datagrams = make(map[string]net.Listener), make(map[string]net.PacketConn)
	listeners, datagrams := distributor.ListeningInputs()
	for _, name := range listeners {
		taken.Inputs[name], err = inherited.Listener(name)
		errs = append(errs, err)
	}
	for _, name := range datagrams {
		taken.Datagrams[name], err = inherited.Datagrams(name)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		taken.Close()
		return sockets{}, err
	}
	return taken, nil
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
func (r *runner) handOver(ctx context.Context, i *instance) (taken sockets, err error) {
	r.logger.Info("an upgrade begins with the preflight of the new binary", "program", r.upgrader.Program())
	if err := r.upgrader.Preflight(ctx, "distributor"); err != nil {
		r.upgrader.Count(upgrade.PreflightFailed)
		return sockets{}, err
	}
	notifyServiceManager(r.logger, daemon.SdNotifyReloading)
	if i.listener != nil {
		if taken.admin, err = listener.Copy(i.listener); err != nil {
			return sockets{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.Config().ShutdownTimeout)
	defer cancel()
	if taken.Sockets, err = i.Handover(ctx); err != nil {
		r.upgrader.Count(upgrade.Undelivered)
		return sockets{}, errors.Join(err, closeListener(taken.admin))
	}
	return taken, nil
}

// exec executes the new binary. It returns if that fails.
func (r *runner) exec(taken sockets) {
	r.logger.Info("the new binary is executed", "program", r.upgrader.Program(), "connections", len(taken.Connections))
	listeners := map[string]net.Listener{ingestListener: taken.Ingest, metricsListener: taken.Metrics}
	if taken.admin != nil {
		listeners[adminListener] = taken.admin
	}
	maps.Copy(listeners, taken.Inputs)
	err := r.upgrader.Exec("distributor", upgrade.Sockets{Listeners: listeners, Datagrams: taken.Datagrams, Connections: taken.Connections})
	r.logger.Error("the new binary cannot be executed: this one continues", "error", err)
	r.upgrader.Count(upgrade.ExecFailed)
}

// reportPassed reports to the process that upgrades to this binary that it can.
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

// notifyServiceManager notifies systemd of a change of state, if systemd started this process.
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
				logger.Error("the upgrade failed, the distributor continues", "error", err)
			}
		}
	}()
	return func() {
		stopSignals()
		<-done
	}
}
