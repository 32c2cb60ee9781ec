package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// fleet is a number of equal analyzers that follows the decisions of the distributor. It adds and
// removes them as operators do. It may be used concurrently.
type fleet struct {
	logger *slog.Logger
	delay  time.Duration // for each packet

	attached chan struct{} // closed when there is a controller
	control  *control.Controller

	mu      sync.Mutex // guards the fields below
	running []fleetMember
	started int
	events  []string // what has happened, since takeEvents
	// stopped sums the counters of stopped analyzers.
	stopped analyzerTotals
}

// fleetMember is an analyzer with its id.
type fleetMember struct {
	*analyzer.Analyzer
	id string
}

func newFleet(delay time.Duration, logger *slog.Logger) *fleet {
	return &fleet{logger: logger, delay: delay, attached: make(chan struct{})}
}

func (f *fleet) report(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, fmt.Sprintf(format, args...))
}

// takeEvents returns what has happened since the last call.
func (f *fleet) takeEvents() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := f.events
	f.events = nil
	return events
}

// attach sets the distributor of the controller, once.
func (f *fleet) attach(c *control.Controller) {
	f.control = c
	close(f.attached)
}

// start starts an analyzer.
func (f *fleet) start() (distributor.Target, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	config := analyzer.DefaultConfig()
	config.Address, config.ProcessingDelay = "127.0.0.1:0", f.delay
	config.ID = analyzerID(f.started)
	one, err := analyzer.New(config, analyzer.Dependencies{Logger: f.logger})
	if err != nil {
		return distributor.Target{}, err
	}
	one.Start()
	f.running = append(f.running, fleetMember{one, config.ID})
	f.started++
	return distributor.Target{ID: config.ID, URL: "http://" + one.Addr(), Weight: 1}, nil
}

// Scale implements autoscale.Actuator.
func (f *fleet) Scale(ctx context.Context, d autoscale.Decision) (output string, err error) {
	select {
	case <-f.attached:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	now := f.size() // d.Current may be a second old
	if now != d.Desired {
		f.report("analyzers: %d desired, %d running", d.Desired, now)
	}
	for n := now; n < d.Desired; n++ {
		if err := f.add(ctx); err != nil {
			return "", err
		}
	}
	return "", f.remove(ctx, now-d.Desired)
}

func (f *fleet) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.running)
}

// operator adds and removes analyzers.
var operator = control.Request{Actor: control.Actor{Name: "demo", Role: "operate"}, Reason: "another number is desired"}

func (f *fleet) add(ctx context.Context) error {
	target, err := f.start()
	if err != nil {
		return err
	}
	if _, err = f.control.AddAnalyzer(ctx, operator, target); err != nil {
		f.end(f.newest(1))
	}
	return err
}

// newest returns the analyzers that were started last.
func (f *fleet) newest(n int) []fleetMember {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.running[len(f.running)-n:])
}

// remove removes the newest analyzers, and ends each once it has delivered what it held.
func (f *fleet) remove(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	leaving := f.newest(n)
	var errs []error
	for _, one := range leaving {
		_, err := f.control.RemoveAnalyzer(ctx, operator, one.id, nil)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, one := range leaving {
		drain, err := f.drained(ctx, one.id)
		if err != nil {
			return err
		}
		f.report("%s drained: packets held %d, delivered %d", one.id, drain.Proof.Held.Packets, drain.Proof.Delivered)
	}
	f.end(leaving)
	return nil
}

// drained waits for the end of the drain of an analyzer.
func (f *fleet) drained(ctx context.Context, id string) (control.DrainStatus, error) {
	const interval = 50 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		drain, found := f.control.Drain(id)
		if !found {
			return drain, fmt.Errorf("%s has no drain", id)
		}
		if drain.Ended != nil {
			return drain, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return drain, ctx.Err()
		}
	}
}

// end stops analyzers, which are the newest.
func (f *fleet) end(ending []fleetMember) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, cancel := context.WithCancel(context.Background())
	cancel()
	for _, one := range ending {
		_ = one.Stop(at) // it has nothing to answer
		f.stopped.add(one.Stats())
	}
	f.running = f.running[:len(f.running)-len(ending)]
}

// stop stops all analyzers, and returns what all have processed.
func (f *fleet) stop() analyzerTotals {
	f.mu.Lock()
	all := f.running
	f.mu.Unlock()
	f.end(all)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped
}
