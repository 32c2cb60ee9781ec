package demo

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// analyzers are the demo's three analyzers. They may be used concurrently.
type analyzers struct {
	logger *slog.Logger

	mu      sync.Mutex // guards the fields below
	running [len(weights)]*analyzer.Analyzer
	address [len(weights)]string
	// stopped sums the counters of stopped analyzers.
	stopped analyzerTotals
}

// analyzerTotals are counters of analyzers.
type analyzerTotals struct{ packets, messages, duplicates int64 }

func startAnalyzers(logger *slog.Logger) (*analyzers, error) {
	a := &analyzers{logger: logger}
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
	one, err := analyzer.New(config, analyzer.Deps{Logger: a.logger})
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
	stats := a.running[i].Stats()
	a.stopped.packets += stats.Packets
	a.stopped.messages += stats.Messages
	a.stopped.duplicates += stats.Duplicates
	a.running[i] = nil
}

func (a *analyzers) stop() {
	for i := range a.running {
		a.kill(i)
	}
}

// processed sums the counters of all analyzers, stopped ones included.
func (a *analyzers) processed() analyzerTotals {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := a.stopped
	for _, one := range a.running {
		if one != nil {
			stats := one.Stats()
			sum.packets += stats.Packets
			sum.messages += stats.Messages
			sum.duplicates += stats.Duplicates
		}
	}
	return sum
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
