// Package demo runs the whole system in one process on loopback: three
// analyzers of different weight, a distributor with its console and an emitter. It shows the
// split of messages while it runs, and at the end the ledger, which must
// balance. Two others are a cluster, whose distributors are processes of their own, and senders
// of several protocols.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
)

// Config holds the demo's settings; the tags are those of package config.
type Config struct {
	// Duration, Rate, PacketSize and File are the emitter's.
	Duration   time.Duration `env:"DURATION" min:"0" help:"how long packets are sent; 0 means until interrupted; a file is sent to its end unless this is set"`
	Rate       float64       `env:"RATE" min:"0" zero:"as fast as possible" help:"packets per second; 0 means as fast as possible"`
	PacketSize string        `env:"PACKET_SIZE" help:"messages per packet: 5, 5,20 round-robin, or 1-100 at random"`
	File       string        `env:"FILE" help:"log file to send instead of generated messages, or - for standard input"`
	// KillAfter, unless 0, is when the first analyzer is stopped for
	// KillDuration.
	KillAfter    time.Duration `env:"KILL_AFTER" min:"0" zero:"never" help:"when one analyzer is stopped; 0 means never"`
	KillDuration time.Duration `env:"KILL_DURATION" min:">0" help:"how long the analyzer stays stopped"`
	// Cluster, unless 0, is the number of distributors: processes of this program, which
	// share the streams of a NATS server. KillAfter is then when one of them is killed.
	Cluster int `env:"CLUSTER" min:"0" max:"9" zero:"one, in this process" help:"distributors that share the streams of a NATS server, each a process of its own, one of which is killed for a while; 0 means one in this process"`
	// NATSServer is the program of that server.
	NATSServer string `env:"NATS_SERVER" help:"with -cluster: the nats-server program (default: that in PATH or in Go's directory of programs)"`
	// Protocols has senders of other protocols instead of an emitter. Rate and PacketSize are
	// then of their requests.
	Protocols bool `env:"PROTOCOLS" help:"senders of OTLP, Loki, Elasticsearch, HEC, Forward and syslog instead of an emitter, and an Elasticsearch and a Loki beside the analyzers; 120 requests a second unless -rate is set"`
	// Autoscale has the number of analyzers follow a load that grows tenfold, to Rate, and
	// falls again.
	Autoscale bool `env:"AUTOSCALE_DEMO" flag:"autoscale" help:"analyzers come and go with a load that grows tenfold, to the rate, and falls again"`
	// Console overrides Duration.
	Console bool `env:"CONSOLE" help:"run until interrupted, to show the console in a browser"`
}

// DefaultConfig sends packets of 1 to 100 messages.
func DefaultConfig() Config {
	return Config{Duration: 20 * time.Second, Rate: 500, PacketSize: "1-100", KillDuration: 5 * time.Second}
}

// Validate returns an error that names the invalid key.
func (c Config) Validate() error {
	if c.File != "" && (c.Cluster > 0 || c.Protocols) {
		return fmt.Errorf("FILE: %q is not allowed with CLUSTER or PROTOCOLS: they send generated messages", c.File)
	}
	if c.Cluster > 0 && c.Protocols || c.Autoscale && (c.Cluster > 0 || c.Protocols) {
		return errors.New("CLUSTER, PROTOCOLS and AUTOSCALE_DEMO are demos of their own: choose one")
	}
	if c.Cluster == 1 {
		return errors.New("CLUSTER: 1 is not allowed: it must be 2 to 9, since one distributor is killed")
	}
	if c.Autoscale && (c.File != "" || c.KillAfter != 0 || c.Rate == 0) {
		return errors.New("AUTOSCALE_DEMO: it sends generated messages at a RATE above 0, without FILE and KILL_AFTER")
	}
	return c.emitter("http://localhost").Validate()
}

// emitter returns the emitter's settings.
func (c Config) emitter(target string) emitter.Config {
	config := emitter.DefaultConfig()
	if c.Console {
		c.Duration = 0
	}
	config.Target, config.Duration, config.Rate, config.PacketSize, config.File = target, c.Duration, c.Rate, c.PacketSize, c.File
	return config
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
	switch {
	case config.Cluster > 0:
		return runCluster(ctx, config, screen, logger)
	case config.Protocols:
		return runProtocols(ctx, config, screen, logger)
	case config.Autoscale:
		return runAutoscale(ctx, config, surges, screen, logger)
	}
	return runSingle(ctx, config, screen, logger)
}

// runSingle runs the demo of one distributor.
func runSingle(ctx context.Context, config Config, screen Screen, logger *slog.Logger) error {
	analyzers, err := startAnalyzers(logger, nil)
	if err != nil {
		return err
	}
	defer analyzers.stop()
	d, err := startSystem(ctx, settings(analyzers.targets()), analyzers, nil, logger)
	if err != nil {
		return err
	}
	defer func() { _ = d.stop(ctx) }() // for error returns before the stop below
	e, err := emitter.New(config.emitter("http://"+d.Addr()+"/ingest"), emitter.Dependencies{Logger: logger, Stdin: screen.Stdin})
	if err != nil {
		return err
	}
	printHeader(screen.Out, d, config)
	view := newView(screen)
	report, err := runEmitter(ctx, config, d.Distributor, e, analyzers, view)
	if err != nil {
		return err
	}
	if err := d.stop(ctx); err != nil { // delivers what is queued
		return err
	}
	view.drawLast(d.Status(), report)
	return printLedger(screen.Out, ledger{report, d.Status(), analyzers.total()})
}

func printHeader(out io.Writer, d *system, config Config) {
	what := fmt.Sprintf("%s messages a packet, %g packets a second", config.PacketSize, config.Rate)
	if config.File != "" {
		what = config.File + ", " + what
	}
	_, _ = fmt.Fprintf(out, "Sending %s.\n", what)
	_, _ = fmt.Fprintf(out, "Ingest http://%s/ingest   health http://%s/health\n", d.Addr(), d.Addr())
	_, _ = fmt.Fprintf(out, "Metrics http://%s/metrics   console http://%s/\n\n", d.MetricsAddr(), d.consoleAddr())
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
	var stopped <-chan struct{}
	for {
		select {
		case <-done:
			if runErr != nil || !config.Console || ctx.Err() != nil {
				return report, runErr
			}
			done, stopped = nil, ctx.Done() // a file was sent to its end
		case <-stopped:
			return report, nil
		case <-ticker.C:
			if !config.Console && endsSoon(view.start, config.Duration) {
				continue // the last table is drawn after the delivery of everything
			}
			view.draw(d.Status(), e.Snapshot())
		case <-kill:
			restart = killFirst(analyzers, config.KillDuration, view)
		case <-restart:
			restartFirst(analyzers, view)
		}
	}
}

// killFirst kills the first analyzer, and returns when it is to be restarted.
func killFirst(analyzers *analyzers, duration time.Duration, view *view) (restart <-chan time.Time) {
	analyzers.kill(0)
	view.logLine("analyzer-1 is stopped for %v", duration)
	return after(duration)
}

func restartFirst(analyzers *analyzers, view *view) {
	if err := analyzers.restart(0); err != nil {
		view.logLine("analyzer-1 cannot be restarted: %v", err)
		return
	}
	view.logLine("analyzer-1 is back")
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
