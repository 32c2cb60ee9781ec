package distributor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink/native"
	"github.com/logstreamer/logstreamer/internal/tap"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// running is an analyzer with its configuration.
type running struct {
	*upstream.Upstream
	target     Target
	group      string       // the id of its group, or empty
	registered bool         // registered by a lease
	tls        *clientTLS   // nil: without TLS
	native     *native.Sink // nil: a backend
}

// eligible reports whether the analyzer may get packets.
func (a running) eligible() bool { return a.target.State == StateReady && a.Healthy() }

// analyzerSet has the analyzers at one time. It is immutable.
type analyzerSet struct {
	present []running // in the order of the configuration
	leaving []*leavingAnalyzer
}

// all returns the present and the leaving analyzers.
func (r *analyzerSet) all() []*upstream.Upstream {
	all := make([]*upstream.Upstream, 0, len(r.present)+len(r.leaving))
	for _, a := range r.present {
		all = append(all, a.Upstream)
	}
	for _, l := range r.leaving {
		all = append(all, l.Upstream)
	}
	return all
}

// present returns the analyzers of the configuration in its order.
func (d *Distributor) present() []running { return d.analyzers.Load().present }

// find returns the analyzer of the configuration with an id.
func (d *Distributor) find(id string) (running, bool) {
	present := d.present()
	at := slices.IndexFunc(present, func(a running) bool { return a.ID() == id })
	if at < 0 {
		return running{}, false
	}
	return present[at], true
}

// newAnalyzer returns an analyzer without starting it.
func (d *Distributor) newAnalyzer(config Config, m member) (running, error) {
	target := m.Target
	logger := d.logger.With("component", "upstream")
	way, secure, err := d.credentials.sink(target, config.AnalyzerTLS, m.resolver(config), logger.With("analyzer", target.ID))
	if err != nil {
		return running{}, err
	}
	created := upstream.New(config.analyzer(target), upstream.Dependencies{
		Sink:    way,
		Settler: tappedSettler{d.router, &d.taps},
		Logger:  logger,
		Metrics: d.upstreamMetrics,
		Budget:  &d.retryBudget,
		OnOffer: func(deliveries []upstream.Delivery) { emit(&d.taps, tap.Routed, target.ID, deliveries) },
	})
	created.SetProbing(target.State != StateMaint)
	gateway, _ := way.(*native.Sink)
	return running{created, target, m.group, m.registered, secure, gateway}, nil
}

// startAnalyzers starts analyzers and waits for the results of the first probes, at most for a
// time. The channel is closed when all are started.
func (d *Distributor) startAnalyzers(ctx context.Context, analyzers []running, limit time.Duration) (started <-chan struct{}) {
	var starting sync.WaitGroup
	for _, a := range analyzers {
		starting.Go(func() { a.Start(ctx) })
	}
	probed := make(chan struct{})
	d.starting.Go(func() {
		starting.Wait()
		close(probed)
	})
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-probed:
	case <-timer.C:
	}
	return probed
}

// stopAnalyzers stops all analyzers, after those that leave.
func (d *Distributor) stopAnalyzers() {
	var stops sync.WaitGroup
	for _, a := range d.analyzers.Load().all() {
		stops.Go(a.Stop)
	}
	stops.Wait()
}

// forgetMetrics removes the counters of analyzers.
func (d *Distributor) forgetMetrics(ids ...string) {
	for _, id := range ids {
		d.upstreamMetrics.Drop(id)
		d.deadLetterMetrics.Remove(id)
	}
}
