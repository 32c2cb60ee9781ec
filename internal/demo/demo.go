// Package demo runs the whole system in one process on loopback: three
// analyzers of different weight, a distributor and an emitter. It shows the
// split of messages while it runs, and at the end the ledger, which must
// balance.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
)

// Config holds the demo's settings.
type Config struct {
	// Emitter configures the load; its Target is set by the demo.
	Emitter emitter.Config
	// KillAfter, unless 0, is when the first analyzer is stopped for
	// KillDuration.
	KillAfter, KillDuration time.Duration
}

// DefaultConfig sends packets of 1 to 100 messages.
func DefaultConfig() Config {
	config := Config{Emitter: emitter.DefaultConfig(), KillDuration: 5 * time.Second}
	config.Emitter.PacketSize = "1-100"
	config.Emitter.Rate = 500
	config.Emitter.Duration = 20 * time.Second
	return config
}

// Validate returns an error that names the invalid key.
func (c Config) Validate() error {
	if c.KillAfter < 0 {
		return fmt.Errorf("KILL_AFTER is %v: it must be a time such as 5s, or 0 for never", c.KillAfter)
	}
	if c.KillDuration <= 0 {
		return fmt.Errorf("KILL_DURATION is %v: it must be a time such as 5s", c.KillDuration)
	}
	return c.Emitter.Validate()
}

// Screen holds the demo's input and output.
type Screen struct {
	Out io.Writer
	// Terminal reports that Out is a terminal, on which the table is redrawn in
	// place.
	Terminal bool
	Stdin    io.Reader
}

// weights are the analyzers' weights.
var weights = [...]float64{0.5, 0.3, 0.2}

// refresh is the interval between tables.
const refresh = time.Second

// Run runs the demo until the emitter has sent everything or ctx is done. It
// returns an error when the ledger does not balance.
func Run(ctx context.Context, config Config, screen Screen, logger *slog.Logger) (err error) {
	analyzers, err := startAnalyzers(logger)
	if err != nil {
		return err
	}
	defer analyzers.stop()
	folder, err := os.MkdirTemp("", "logstreamer-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	d, err := startDistributor(ctx, analyzers.targets(), folder, logger)
	if err != nil {
		return err
	}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		_, err := d.Stop(ctx)
		return err
	}
	defer func() { _ = stop() }() // for error returns before the stop below
	config.Emitter.Target = "http://" + d.Addr() + "/ingest"
	e, err := emitter.New(config.Emitter, emitter.Deps{Logger: logger, Stdin: screen.Stdin})
	if err != nil {
		return err
	}
	printHeader(screen.Out, d, config)
	view := newView(screen)
	report, err := runEmitter(ctx, config, d, e, analyzers, view)
	if err != nil {
		return err
	}
	if err := stop(); err != nil { // delivers what is queued
		return err
	}
	view.drawLast(d.Status(), report)
	return printLedger(screen.Out, ledger{report, d.Status(), analyzers.processed()})
}

func startDistributor(ctx context.Context, targets []distributor.Target, folder string, logger *slog.Logger) (*distributor.Distributor, error) {
	config := distributor.DefaultConfig()
	config.Listen, config.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Targets = targets
	config.DataDir = folder
	config.Server.DrainDelay = 0 // no load balancer in front of it
	config.Analyzer.ProbeInterval = time.Second
	config.Analyzer.SlowStart = 3 * time.Second
	d, err := distributor.New(config, logger)
	if err != nil {
		return nil, err
	}
	d.Start(ctx)
	return d, nil
}

func printHeader(out io.Writer, d *distributor.Distributor, config Config) {
	what := fmt.Sprintf("%s messages a packet, %g packets a second", config.Emitter.PacketSize, config.Emitter.Rate)
	if config.Emitter.File != "" {
		what = config.Emitter.File + ", " + what
	}
	_, _ = fmt.Fprintf(out, "Sending %s.\n", what)
	_, _ = fmt.Fprintf(out, "Ingest http://%s/ingest   health http://%s/health\n", d.Addr(), d.Addr())
	_, _ = fmt.Fprintf(out, "Prometheus' metrics http://%s/metrics\n\n", d.MetricsAddr())
}

// runEmitter draws tables while the emitter runs, and stops and restarts an
// analyzer as configured.
func runEmitter(ctx context.Context, config Config, d *distributor.Distributor, e *emitter.Emitter, analyzers *analyzers, view *view) (emitter.Report, error) {
	var report emitter.Report
	var runErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		report, runErr = e.Run(ctx)
	}()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	kill, restart := after(config.KillAfter), (<-chan time.Time)(nil)
	for {
		select {
		case <-done:
			return report, runErr
		case <-ticker.C:
			if endsSoon(view.start, config.Emitter.Duration) {
				continue // the last table is drawn after the delivery of everything
			}
			view.draw(d.Status(), e.Snapshot())
		case <-kill:
			analyzers.kill(0)
			view.logLine("analyzer-1 is stopped for %v", config.KillDuration)
			restart = after(config.KillDuration)
		case <-restart:
			if err := analyzers.restart(0); err != nil {
				view.logLine("analyzer-1 cannot be restarted: %v", err)
				continue
			}
			view.logLine("analyzer-1 is back")
		}
	}
}

// endsSoon reports whether the emitter ends within half a refresh interval.
func endsSoon(start time.Time, duration time.Duration) bool {
	return duration > 0 && (time.Since(start)-duration).Abs() < refresh/2
}

// after is time.After, but never fires for 0.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}
