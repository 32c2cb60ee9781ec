package main

import (
	"context"
	"fmt"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/simulate"
)

func newDistributorLoader(p process) *config.Loader[control.Config] {
	defaults := control.DefaultConfig()
	defaults.Distributor.Version = buildVersion()
	loader := newLoader(p, defaults)
	loader.Sections = map[string]any{simulate.Section: map[string]any{
		"type": "array", "items": map[string]any{"type": "object"}, "description": "tests of the configuration, which logstreamer simulate runs",
	}}
	return loader
}

func distributorCommand(p process) *ffcli.Command {
	loader := newDistributorLoader(p)
	c := newCommand(p, ffcli.Command{
		Name:       "distributor",
		ShortUsage: "logstreamer distributor -analyzers URL=weight,… [flags]",
		ShortHelp:  "accept packets and route each to one analyzer",
	}, loader, func(ctx context.Context, loaded *config.Loaded[control.Config]) error {
		newDiagnostics(p, loader, loaded, loaded.Config.Log)
		if p.notInherited != nil {
			return p.notInherited
		}
		r, err := newRunner(p, loader, loaded.Config.Log)
		if err != nil {
			return err
		}
		defer r.controller.Close()
		if p.inherited.Trial() {
			return reportPassed(p)
		}
		return r.run(ctx)
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
