package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
)

// fleetDelay is what an analyzer of the fleet takes for a packet. With eight requests in flight it
// takes 100 packets a second.
const fleetDelay = 80 * time.Millisecond

// loadCycle is a load that grows tenfold and falls, again and again.
type loadCycle struct{ low, high, period time.Duration }

var surges = loadCycle{low: 6 * time.Second, high: 18 * time.Second, period: 45 * time.Second}

// fleetSettings are those of a distributor with a fleet, which is impatient.
func fleetSettings(first distributor.Target) control.Config {
	c := settings([]distributor.Target{first})
	c.Distributor.Analyzer.SlowStart = time.Second
	a := &c.Distributor.Autoscale
	a.DrainTime, a.QuietTime, a.Cooldown = 5*time.Second, 4*time.Second, time.Second
	return c
}

// runAutoscale runs the demo of a number of analyzers that follows the load.
func runAutoscale(ctx context.Context, config Config, load loadCycle, screen Screen, logger *slog.Logger) error {
	fleet := newFleet(fleetDelay, logger)
	defer fleet.stop()
	first, err := fleet.start()
	if err != nil {
		return err
	}
	d, err := startSystem(ctx, fleetSettings(first), nil, fleet, logger)
	if err != nil {
		return err
	}
	fleet.attach(d.controller)
	defer func() { _ = d.stop(ctx) }() // for error returns before the stop below
	printFleetHeader(screen.Out, d, config)
	view := newFleetView(screen, d, fleet)
	sending := newSurgeLoad(config, load, "http://"+d.Addr()+"/ingest", logger)
	if err := view.follow(ctx, sending); err != nil {
		return err
	}
	if err := d.stop(ctx); err != nil { // delivers what is queued
		return err
	}
	view.draw(sending.report())
	return printLedger(screen.Out, ledger{sending.report(), d.Status(), fleet.stop()})
}

func printFleetHeader(out io.Writer, d *system, config Config) {
	_, _ = fmt.Fprintf(out, "Sending %s messages a packet: %g packets a second, and for a while %g.\n", config.PacketSize, config.Rate/10, config.Rate)
	_, _ = fmt.Fprintf(out, "An analyzer takes %.0f packets a second, and is to be used for 80 %% of that.\n", 8/fleetDelay.Seconds())
	_, _ = fmt.Fprintf(out, "Ingest http://%s/ingest   scale http://%s/v1/scale\n\n", d.Addr(), d.consoleAddr())
}

// surgeLoad sends with emitters: one all the time, others for each surge. It may be used
// concurrently.
type surgeLoad struct {
	config Config
	load   loadCycle
	target string
	logger *slog.Logger

	mu       sync.Mutex // guards emitters
	emitters []*emitter.Emitter
}

func newSurgeLoad(config Config, load loadCycle, target string, logger *slog.Logger) *surgeLoad {
	return &surgeLoad{config: config, load: load, target: target, logger: logger}
}

// run sends until the duration is over or ctx ends.
func (s *surgeLoad) run(ctx context.Context) error {
	surges, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	failed := make(chan error, 1)
	sending.Go(func() { failed <- s.surge(surges) })
	err := s.send(ctx, s.config.Rate/10, s.config.emitter(s.target).Duration)
	cancel()
	return errors.Join(err, <-failed)
}

// surge sends more for a part of each period.
func (s *surgeLoad) surge(ctx context.Context) error {
	for wait := s.load.low; ; wait = s.load.period - s.load.high {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		if err := s.send(ctx, s.config.Rate*9/10, s.load.high); err != nil {
			return err
		}
	}
}

// send runs an emitter.
func (s *surgeLoad) send(ctx context.Context, rate float64, duration time.Duration) error {
	config := s.config.emitter(s.target)
	config.Rate, config.Duration = rate, duration
	s.mu.Lock()
	config.EmitterID = fmt.Sprintf("emitter-%d", len(s.emitters)+1)
	one, err := emitter.New(config, emitter.Dependencies{Logger: s.logger})
	if err == nil {
		s.emitters = append(s.emitters, one)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = one.Run(ctx)
	return err
}

// report returns the sums of all emitters, and the latencies of the first.
func (s *surgeLoad) report() (sum emitter.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.emitters {
		report := one.Snapshot()
		if i == 0 {
			sum.Latency = report.Latency
		}
		sum.Packets, sum.Messages = plus(sum.Packets, report.Packets), plus(sum.Messages, report.Messages)
	}
	return sum
}

func plus(a, b emitter.Outcome) emitter.Outcome {
	return emitter.Outcome{
		Generated: a.Generated + b.Generated, Accepted: a.Accepted + b.Accepted, Refused: a.Refused + b.Refused, GaveUp: a.GaveUp + b.GaveUp, Left: a.Left + b.Left,
	}
}

// fleetView shows a fleet.
type fleetView struct {
	*view
	system *system
	fleet  *fleet
}

func newFleetView(screen Screen, d *system, f *fleet) *fleetView {
	return &fleetView{newView(screen), d, f}
}

// follow draws tables while packets are sent.
func (v *fleetView) follow(ctx context.Context, sending *surgeLoad) error {
	done := make(chan error, 1)
	go func() { done <- sending.run(ctx) }()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			v.draw(sending.report())
		}
	}
}

// draw draws what has happened, the decision, and a table with the analyzers that leave, too.
func (v *fleetView) draw(report emitter.Report) {
	for _, line := range v.fleet.takeEvents() {
		v.logLine("%s", line)
	}
	status := v.system.Status()
	for _, one := range status.Leaving {
		one.Health = "leaves"
		status.Analyzers = append(status.Analyzers, one)
	}
	slices.SortStableFunc(status.Analyzers, func(a, b distributor.AnalyzerStatus) int { // analyzer-10 after analyzer-9
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID))
	})
	table := v.table(status, report)
	for _, d := range v.system.Scale() {
		table = wrapWords(fmt.Sprintf("desired %d, current %d: %s", d.Desired, d.Current, d.Reason)) + table
	}
	v.show(table)
}

// wrapWords breaks a text before words that exceed the width.
func wrapWords(text string) string {
	var out strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+length < Width:
			out.WriteByte(' ')
			column++
		default:
			out.WriteString("\n  ")
			column = 2
		}
		out.WriteString(word)
		column += length
	}
	return out.String() + "\n"
}
