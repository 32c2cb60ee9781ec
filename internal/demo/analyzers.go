package demo

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// analyzers are the demo's three. They are used by one goroutine.
type analyzers struct {
	logger  *slog.Logger
	running [len(weights)]*analyzer.Analyzer
	address [len(weights)]string
	// past is what those that were stopped had processed.
	past analyzed
}

// analyzed is what analyzers counted themselves.
type analyzed struct{ packets, messages, duplicates int64 }

func startAnalyzers(logger *slog.Logger) (*analyzers, error) {
	a := &analyzers{logger: logger}
	for i := range weights {
		a.address[i] = "127.0.0.1:0"
		if err := a.revive(i); err != nil {
			a.stop()
			return nil, err
		}
	}
	return a, nil
}

// revive starts an analyzer where it was before.
func (a *analyzers) revive(i int) error {
	config := analyzer.DefaultConfig()
	config.Address = a.address[i]
	config.ID = fmt.Sprintf("analyzer-%d", i+1)
	one, err := analyzer.New(config, analyzer.Deps{Logger: a.logger})
	if err != nil {
		return err
	}
	one.Start()
	a.running[i], a.address[i] = one, one.Addr()
	return nil
}

// kill stops an analyzer without waiting for what it is doing.
func (a *analyzers) kill(i int) {
	if a.running[i] == nil {
		return
	}
	at, cancel := context.WithCancel(context.Background())
	cancel()
	_ = a.running[i].Stop(at) // says that it was cut short, as it should be
	stats := a.running[i].Stats()
	a.past.packets += stats.Packets
	a.past.messages += stats.Messages
	a.past.duplicates += stats.Duplicates
	a.running[i] = nil
}

func (a *analyzers) stop() {
	for i := range a.running {
		a.kill(i)
	}
}

// processed is what all analyzers counted, those that were stopped included.
func (a *analyzers) processed() analyzed {
	sum := a.past
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
			ID: fmt.Sprintf("analyzer-%d", i+1), URL: "http://" + a.address[i], Weight: weight,
		})
	}
	return targets
}
