package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/logging"
	"github.com/logstreamer/logstreamer/internal/simulate"
	"github.com/logstreamer/logstreamer/internal/upgrade"
)

func newDistributorLoader(p process) *config.Loader[service[distributor.Config]] {
	defaults := distributor.DefaultConfig()
	defaults.Version = buildVersion()
	loader := newLoader(p, service[distributor.Config]{defaults, logging.DefaultConfig()})
	loader.Sections = map[string]any{simulate.Section: map[string]any{
		"type": "array", "items": map[string]any{"type": "object"}, "description": "tests of the configuration, which logstreamer simulate runs",
	}}
	return loader
}

func distributorCommand(p process) *ffcli.Command {
	loader := newDistributorLoader(p)
	c := newService(p, ffcli.Command{
		Name:       "distributor",
		ShortUsage: "logstreamer distributor -analyzers URL=weight,… [flags]",
		ShortHelp:  "accept packets and route each to one analyzer",
	}, loader, func(ctx context.Context, loaded *config.Loaded[service[distributor.Config]], logger *slog.Logger) error {
		if p.notInherited != nil {
			return p.notInherited
		}
		if p.inherited.Trial() {
			return reportPassed(p)
		}
		return newRunner(p, loaded.Config.Role, logger).run(ctx)
	})
	addConfigFlag(c, loader)
	return c
}

// runner runs a distributor in this process, and others after it that take its sockets over
// when an upgrade fails.
type runner struct {
	config    distributor.Config
	logger    *slog.Logger
	inherited *upgrade.Inheritance
	upgrader  *upgrade.Upgrader
}

func newRunner(p process, config distributor.Config, logger *slog.Logger) *runner {
	return &runner{config: config, logger: logger, inherited: p.inherited, upgrader: upgrade.New(p.args)}
}

// run serves until the context ends.
func (r *runner) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := upgradeOnSignal(ctx, r.upgrader, r.logger)
	defer stop()
	defer cancel() // before stop
	sockets, err := inheritedSockets(r.inherited)
	if err != nil {
		return err
	}
	for {
		d, err := distributor.NewOn(sockets, r.config, r.logger)
		if err != nil {
			return err
		}
		if err := d.Registerer().Register(r.upgrader.Collector()); err != nil {
			return err
		}
		d.Start(ctx)
		r.takenOver()
		notifyServiceManager(r.logger, daemon.SdNotifyReady)
		var handedOver bool
		if sockets, handedOver, err = r.serve(ctx, d); !handedOver {
			return err
		}
	}
}

// serve waits for the end of the context and for requests for an upgrade. handedOver means
// that another distributor must take the sockets over.
func (r *runner) serve(ctx context.Context, d *distributor.Distributor) (sockets distributor.Sockets, handedOver bool, err error) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case request := <-r.upgrader.Requests():
			if sockets, err = r.handOver(ctx, d); err != nil {
				notifyServiceManager(r.logger, daemon.SdNotifyReady)
				request.Done(err)
				continue
			}
			if ctx.Err() != nil { // a stop was asked for meanwhile
				sockets.Close()
				request.Done(ctx.Err())
				break
			}
			request.Done(nil)
			r.config = d.Config() // with the changes since the start
			r.exec(sockets)
			return sockets, true, nil
		}
	}
	notifyServiceManager(r.logger, daemon.SdNotifyStopping)
	return sockets, false, stopDistributor(d, d.Config().ShutdownTimeout)
}

// stopDistributor stops within the timeout and reports the packets lost; stored
// packets are not lost.
func stopDistributor(d *distributor.Distributor, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	left, err := d.Stop(ctx)
	if left.Packets > 0 && !d.Stores() {
		return fmt.Errorf("%d packets (%d messages) could not be delivered in %v", left.Packets, left.Messages, timeout)
	}
	return err
}
