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

// Config is what users set.
type Config struct {
	// Emitter says what is sent; its Target is set by the demo.
	Emitter emitter.Config
	// KillAfter, unless 0, is when the first analyzer is stopped, for
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

// Validate tells what cannot be, by its environment name.
func (c Config) Validate() error {
	if c.KillAfter < 0 {
		return fmt.Errorf("KILL_AFTER is %v: it must be a time such as 5s, or 0 for never", c.KillAfter)
	}
	if c.KillDuration <= 0 {
		return fmt.Errorf("KILL_DURATION is %v: it must be a time such as 5s", c.KillDuration)
	}
	return c.Emitter.Validate()
}

// Screen is where the demo shows itself.
type Screen struct {
	Out io.Writer
	// Terminal says that Out is a terminal: the table is drawn over itself.
	Terminal bool
	Stdin    io.Reader
}

// weights are those of the analyzers.
var weights = [...]float64{0.5, 0.3, 0.2}

// refresh is how often the table is drawn.
const refresh = time.Second

// Run runs the demo until the emitter has sent everything or the context ends.
// It returns an error when the ledger does not balance.
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
	defer func() { _ = stop() }() // for a way out before the stop below
	config.Emitter.Target = "http://" + d.Addr() + "/ingest"
	e, err := emitter.New(config.Emitter, emitter.Deps{Logger: logger, Stdin: screen.Stdin})
	if err != nil {
		return err
	}
	introduce(screen.Out, d, config)
	view := newView(screen)
	report, err := watch(ctx, config, d, e, analyzers, view)
	if err != nil {
		return err
	}
	if err := stop(); err != nil { // delivers what is left
		return err
	}
	view.drawLast(d.Status(), report)
	return settle(screen.Out, ledger{report, d.Status(), analyzers.processed()})
}

func startDistributor(ctx context.Context, targets []distributor.Target, folder string, logger *slog.Logger) (*distributor.Distributor, error) {
	config := distributor.DefaultConfig()
	config.Listen, config.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Targets = targets
	config.DataDir = folder
	config.Ingest.DrainDelay = 0 // nobody balances load to it
	config.Analyzer.ProbeInterval = time.Second
	config.Analyzer.SlowStart = 3 * time.Second
	d, err := distributor.New(config, logger)
	if err != nil {
		return nil, err
	}
	d.Start(ctx)
	return d, nil
}

func introduce(out io.Writer, d *distributor.Distributor, config Config) {
	what := fmt.Sprintf("%s messages a packet, %g packets a second", config.Emitter.PacketSize, config.Emitter.Rate)
	if config.Emitter.File != "" {
		what = config.Emitter.File + ", " + what
	}
	_, _ = fmt.Fprintf(out, "Sending %s.\n", what)
	_, _ = fmt.Fprintf(out, "Ingest http://%s/ingest   health http://%s/health\n", d.Addr(), d.Addr())
	_, _ = fmt.Fprintf(out, "Prometheus' metrics http://%s/metrics\n\n", d.MetricsAddr())
}

// watch shows the table while the emitter runs, and stops and restarts an
// analyzer when that is wanted.
func watch(ctx context.Context, config Config, d *distributor.Distributor, e *emitter.Emitter, analyzers *analyzers, view *view) (emitter.Report, error) {
	var report emitter.Report
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		report, failed = e.Run(ctx)
	}()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	kill, back := after(config.KillAfter), (<-chan time.Time)(nil)
	for {
		select {
		case <-done:
			return report, failed
		case <-ticker.C:
			if endsSoon(view.start, config.Emitter.Duration) {
				continue // the last table is drawn once all is delivered
			}
			view.draw(d.Status(), e.Snapshot())
		case <-kill:
			analyzers.kill(0)
			view.say("analyzer-1 is stopped for %v", config.KillDuration)
			back = after(config.KillDuration)
		case <-back:
			if err := analyzers.revive(0); err != nil {
				view.say("analyzer-1 cannot come back: %v", err)
				continue
			}
			view.say("analyzer-1 is back")
		}
	}
}

// endsSoon tells that the emitter ends, or has ended, before another table would
// be drawn.
func endsSoon(start time.Time, duration time.Duration) bool {
	return duration > 0 && (time.Since(start)-duration).Abs() < refresh/2
}

// after is time.After, but never for 0.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}
