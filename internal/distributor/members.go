package distributor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/native"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// present returns the analyzers in the order of their addition.
func (d *Distributor) present() []*upstream.Upstream { return *d.analyzers.Load() }

// AddAnalyzer adds and starts an analyzer at run time, and returns its id, which is the next
// free one if the target has none. AddAnalyzer, RemoveAnalyzer, SetWeight and SetDrained may
// be called concurrently.
func (d *Distributor) AddAnalyzer(ctx context.Context, target Target) (id string, err error) {
	d.membersMu.Lock()
	defer d.membersMu.Unlock()
	if d.stopped {
		return "", errors.New("the distributor stops")
	}
	config := d.config
	config.Targets = Targets(append(slices.Clone(d.targets), target)).settled()
	if err := config.Validate(); err != nil {
		return "", err
	}
	target = config.Targets[len(d.targets)]
	analyzer, err := d.newAnalyzer(target)
	if err != nil {
		return "", err
	}
	analyzer.Start(ctx)
	if err := d.addLocked(analyzer, target); err != nil {
		analyzer.Stop()
		return "", err
	}
	return target.ID, nil
}

// RemoveAnalyzer removes an analyzer at run time, unless it is the last one. Its packets are
// rerouted; those of requests in flight may be delivered twice.
func (d *Distributor) RemoveAnalyzer(id string) error {
	d.membersMu.Lock()
	defer d.membersMu.Unlock()
	at := slices.IndexFunc(d.targets, func(t Target) bool { return t.ID == id })
	if at >= 0 && len(d.targets) == 1 {
		return fmt.Errorf("%s is the last analyzer", id)
	}
	if err := d.router.Remove(id); err != nil {
		return err
	}
	removed := d.present()[at]
	removed.Stop()
	d.setLocked(slices.Delete(slices.Clone(d.targets), at, at+1), slices.Delete(slices.Clone(d.present()), at, at+1))
	d.forgetMetrics(removed)
	return nil
}

// SetWeight changes the weight of an analyzer at run time.
func (d *Distributor) SetWeight(id string, weight float64) error {
	d.membersMu.Lock()
	defer d.membersMu.Unlock()
	if err := d.router.SetWeight(id, weight); err != nil {
		return err
	}
	targets := slices.Clone(d.targets)
	targets[slices.IndexFunc(targets, func(t Target) bool { return t.ID == id })].Weight = weight
	d.targets = targets
	return nil
}

// SetDrained stops or resumes routing to an analyzer, which still delivers its queue.
func (d *Distributor) SetDrained(id string, drained bool) error {
	return d.router.SetDrained(id, drained)
}

// newAnalyzer returns an analyzer without starting it.
func (d *Distributor) newAnalyzer(target Target) (*upstream.Upstream, error) {
	base, err := sink.ParseURL(target.URL)
	if err != nil {
		return nil, err
	}
	secure, err := d.credentials.analyzer(target, d.config.AnalyzerTLS)
	if err != nil {
		return nil, err
	}
	logger := d.logger.With("component", "upstream")
	return upstream.New(d.config.analyzer(target), upstream.Dependencies{
		Sink:    native.New(base, nil, secure, logger.With("analyzer", target.ID)),
		Settler: d.router,
		Logger:  logger,
		Metrics: d.upstreamMetrics,
		Budget:  &d.retryBudget,
	}), nil
}

// addLocked adds an analyzer to the router and the metrics.
func (d *Distributor) addLocked(analyzer *upstream.Upstream, target Target) error {
	targets, present := d.targets, d.present()
	d.deadLetterMetrics.Add(target.ID)
	d.setLocked(append(slices.Clone(targets), target), append(slices.Clone(present), analyzer))
	err := d.router.Add(analyzer, target.Weight)
	if err != nil {
		d.setLocked(targets, present)
		d.forgetMetrics(analyzer)
	}
	return err
}

// stopAnalyzers stops all analyzers, for good.
func (d *Distributor) stopAnalyzers() {
	d.membersMu.Lock()
	defer d.membersMu.Unlock()
	d.stopped = true
	var stops sync.WaitGroup
	for _, a := range d.present() {
		stops.Go(a.Stop)
	}
	stops.Wait()
}

// setLocked replaces the analyzers. The linger of each depends on their number.
func (d *Distributor) setLocked(targets []Target, present []*upstream.Upstream) {
	d.targets = targets
	d.analyzers.Store(&present)
	d.credentials.keep(targets, d.config.AnalyzerTLS)
	for _, a := range present {
		a.SetLinger(linger(len(present)))
	}
}

func (d *Distributor) forgetMetrics(analyzer *upstream.Upstream) {
	d.upstreamMetrics.Remove(analyzer)
	d.deadLetterMetrics.Remove(analyzer.ID())
}
