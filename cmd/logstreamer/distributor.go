package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/logging"
)

func newDistributorLoader(p process) *config.Loader[service[distributor.Config]] {
	defaults := distributor.DefaultConfig()
	defaults.Version = buildVersion()
	return newLoader(p, service[distributor.Config]{defaults, logging.DefaultConfig()})
}

func distributorCommand(p process) *ffcli.Command {
	loader := newDistributorLoader(p)
	c := newService(p, ffcli.Command{
		Name:       "distributor",
		ShortUsage: "logstreamer distributor -analyzers URL=weight,… [flags]",
		ShortHelp:  "accept packets and route each to one analyzer",
	}, loader, func(ctx context.Context, loaded *config.Loaded[service[distributor.Config]], logger *slog.Logger) error {
		d, err := distributor.New(loaded.Config.Role, logger)
		if err != nil {
			return err
		}
		d.Start(ctx)
		<-ctx.Done()
		return stopDistributor(d, d.Config().ShutdownTimeout)
	})
	addConfigFlag(c, loader)
	return c
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
