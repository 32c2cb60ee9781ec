package demo

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// analyzers are the demo's three analyzers. They may be used concurrently.
type analyzers struct {
	logger    *slog.Logger
	processed func(packet.Info, []byte) // may be nil

	mu      sync.Mutex // guards the fields below
	running [len(weights)]*analyzer.Analyzer
	address [len(weights)]string
	// stopped are the counters of analyzers that were stopped.
	stopped [len(weights)]analyzerTotals
}

// analyzerTotals are counters of analyzers.
type analyzerTotals struct{ packets, messages, duplicates int64 }

// startAnalyzers starts them. processed, unless nil, is called with each packet that one has
// processed.
func startAnalyzers(logger *slog.Logger, processed func(info packet.Info, body []byte)) (*analyzers, error) {
	a := &analyzers{logger: logger, processed: processed}
	for i := range weights {
		a.address[i] = "127.0.0.1:0"
		if err := a.restart(i); err != nil {
			a.stop()
			return nil, err
		}
	}
	return a, nil
}

// StopAnalyzer implements admin.Demo.
func (a *analyzers) StopAnalyzer(id string) error {
	i, err := indexOf(id)
	if err == nil {
		a.kill(i)
	}
	return err
}

// StartAnalyzer implements admin.Demo.
func (a *analyzers) StartAnalyzer(id string) error {
	i, err := indexOf(id)
	if err == nil {
		err = a.restart(i)
	}
	return err
}

// indexOf returns the place of an analyzer of the demo.
func indexOf(id string) (int, error) {
	for i := range weights {
		if id == analyzerID(i) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s is not one of the demo's %d analyzers", id, len(weights))
}

func analyzerID(i int) string { return fmt.Sprintf("analyzer-%d", i+1) }

// restart starts an analyzer on its previous address, unless it runs.
func (a *analyzers) restart(i int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running[i] != nil {
		return nil
	}
	config := analyzer.DefaultConfig()
	config.Address = a.address[i]
	config.ID = analyzerID(i)
	one, err := analyzer.New(config, analyzer.Dependencies{Logger: a.logger, Processed: a.processed})
	if err != nil {
		return err
	}
	one.Start()
	a.running[i], a.address[i] = one, one.Addr()
	return nil
}

// kill stops an analyzer and aborts its requests.
func (a *analyzers) kill(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running[i] == nil {
		return
	}
	at, cancel := context.WithCancel(context.Background())
	cancel()
	_ = a.running[i].Stop(at) // reports the abort, as intended
	a.stopped[i].add(a.running[i].Stats())
	a.running[i] = nil
}

func (a *analyzers) stop() {
	for i := range a.running {
		a.kill(i)
	}
}

// total sums the counters of all analyzers, stopped ones included.
func (a *analyzers) total() (sum analyzerTotals) {
	for i := range weights {
		one := a.of(i)
		sum.packets += one.packets
		sum.messages += one.messages
		sum.duplicates += one.duplicates
	}
	return sum
}

// of returns the counters of an analyzer, also from before it was stopped.
func (a *analyzers) of(i int) analyzerTotals {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := a.stopped[i]
	if a.running[i] != nil {
		sum.add(a.running[i].Stats())
	}
	return sum
}

func (t *analyzerTotals) add(s analyzer.Stats) {
	t.packets += s.Packets
	t.messages += s.Messages
	t.duplicates += s.Duplicates
}

func (a *analyzers) targets() []distributor.Target {
	var targets []distributor.Target
	for i, weight := range weights {
		targets = append(targets, distributor.Target{
			ID: analyzerID(i), URL: "http://" + a.address[i], Weight: weight,
		})
	}
	return targets
}
