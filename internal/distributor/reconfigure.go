package distributor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// RestartRequiredError is the refusal of a configuration that differs from the current one
// in settings that cannot be changed while the distributor runs.
type RestartRequiredError struct{ Changes []config.Change }

// Error names the settings with their old and new values.
func (e *RestartRequiredError) Error() string {
	var parts []string
	for _, c := range e.Changes {
		parts = append(parts, fmt.Sprintf("%s (%s, now %s)", c.Env, c.New, c.Old))
	}
	return "a restart is required to change " + strings.Join(parts, ", ")
}

// ErrStopping is the refusal of a change while the distributor stops.
var ErrStopping = errors.New("the distributor stops")

// Config returns the current configuration; see Config.WithDefaults. It may be called
// concurrently.
func (d *Distributor) Config() Config { return *d.config.Load() }

// Reconfigure applies a configuration as a whole, or returns an error and applies nothing: a
// *RestartRequiredError if a setting differs that is not live, or the errors of Validate and of
// limits below the volume that is held now. Only differences are applied. Analyzers are matched by
// Config.WithDefaultsAfter: a changed weight changes only the share; after a change of the URL the
// old analyzer leaves and a new one joins. An analyzer that leaves delivers the packets that it
// holds, for at most DrainTimeout (see SetDrainDeadline and OnRemoved). New analyzers are probed
// first, briefly. Reconfigure may be called concurrently; a ctx that ends refuses the change.
func (d *Distributor) Reconfigure(ctx context.Context, next Config) error {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.stopped {
		return ErrStopping
	}
	next, err := d.check(next)
	if err != nil {
		return err
	}
	d.resolve(ctx, next, joinTimeout)
	change, err := d.plan(next)
	if err != nil {
		return err
	}
	if len(change.joining) > 0 {
		started := d.startAnalyzers(ctx, change.joining, joinTimeout)
		if err := ctx.Err(); err != nil {
			d.discard(change, started)
			return err
		}
	}
	d.apply(next, change)
	d.discovery.Watch(d.leaveCtx, next.Targets.groups())
	return nil
}

// joinTimeout bounds the wait for the first probes of analyzers that join, and for the members
// of new groups.
const joinTimeout = time.Second

// CheckConfig returns the error with which Reconfigure would refuse a configuration now. It
// may be called concurrently.
func (d *Distributor) CheckConfig(next Config) error {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.stopped {
		return ErrStopping
	}
	next, err := d.check(next)
	if err != nil {
		return err
	}
	change, err := d.plan(next)
	if err == nil {
		d.discard(change, nil)
	}
	return err
}

// check returns a configuration with defaults, or the reason why it cannot follow the current one.
func (d *Distributor) check(next Config) (Config, error) {
	current := d.Config()
	next = next.WithDefaultsAfter(current)
	if err := errors.Join(next.Validate(), requireRestart(current, next)); err != nil {
		return next, err
	}
	return next, nil
}

// requireRestart returns a *RestartRequiredError if a setting that is not live differs.
func requireRestart(current, next Config) error {
	changes := slices.DeleteFunc(config.Diff(current, next), func(c config.Change) bool { return c.Live })
	if len(changes) == 0 {
		return nil
	}
	return &RestartRequiredError{changes}
}

// change is the change of the analyzers by a configuration.
type change struct {
	present []running // including those that join
	joining []running
	leaving []*leavingAnalyzer                 // analyzers that are no longer present
	clients map[*clientTLS]*certificate.Client // settings of analyzers that stay
	files   prepared                           // of the ingest port
}

// plan returns the change to a configuration. It creates the analyzers that join, and reads the
// files of certificates and tokens that differ.
func (d *Distributor) plan(next Config) (c change, err error) {
	if c.files, err = d.credentials.prepare(next); err != nil {
		d.credentials.keep(d.Config())
		return change{}, err
	}
	defer func() {
		if err != nil {
			d.discard(c, nil)
			c = change{}
		}
	}()
	c.clients = make(map[*clientTLS]*certificate.Client)
	left := slices.Clone(d.present())
	for _, one := range d.members(next) {
		at := slices.IndexFunc(left, func(a running) bool { return a.target.sameAnalyzer(one.Target) })
		if at >= 0 {
			if left[at].tls != nil {
				if c.clients[left[at].tls], err = d.credentials.analyzer(one.Target, next.AnalyzerTLS); err != nil {
					return c, err
				}
			}
			c.present = append(c.present, running{left[at].Upstream, one.Target, one.group, one.registered, left[at].tls, left[at].native})
			left = slices.Delete(left, at, at+1)
			continue
		}
		created, err := d.newAnalyzer(next, one)
		if err != nil {
			return c, err
		}
		c.present, c.joining = append(c.present, created), append(c.joining, created)
	}
	for _, a := range left {
		c.leaving = append(c.leaving, newLeavingAnalyzer(a, next.DrainTimeout))
	}
	return c, nil
}

// discard ends a change that is not made: it stops the new analyzers after their start, or at once
// if the channel is nil.
func (d *Distributor) discard(c change, started <-chan struct{}) {
	joining := c.joining
	c.files.done(c.files.abort)
	d.credentials.keep(d.Config())
	stats := d.router.Stats()
	known := slices.Concat(stats.Members, stats.Former)
	for _, a := range joining {
		d.upstreamMetrics.Remove(a.Upstream)
		if !slices.ContainsFunc(known, func(m router.MemberStats) bool { return m.ID == a.ID() }) {
			d.forgetMetrics(a.ID())
		}
	}
	d.starting.Go(func() {
		if started != nil {
			<-started
		}
		for _, a := range joining {
			a.Stop()
		}
	})
}

// apply applies a configuration, which cannot fail. The set of analyzers changes before the router, so that
// all packets are accounted for at any time.
func (d *Distributor) apply(next Config, c change) {
	d.config.Store(&next)
	d.applySettings(next)
	c.files.done(c.files.commit)
	for secure, client := range c.clients {
		secure.current.Store(client)
	}
	for _, a := range c.present {
		a.Configure(next.analyzer(a.target))
		a.SetLinger(linger(len(c.present)))
		if a.target.State != StateMaint {
			a.SetProbing(true)
			a.Admit()
		}
		d.deadLetterMetrics.Add(a.ID())
	}
	d.credentials.keep(next)
	d.analyzers.Store(&analyzerSet{c.present, append(slices.Clone(d.analyzers.Load().leaving), c.leaving...)})
	if err := d.router.Configure(routing(next, c.present)); err != nil {
		d.logger.Error("the analyzers could not be changed", "error", err) // impossible: next is valid
	}
	for _, a := range c.present {
		if a.target.State == StateMaint {
			a.SetProbing(false)
			a.Evict()
		}
	}
	for _, l := range c.leaving {
		d.groupLeaves(l.group)
		d.leaving.Go(func() { d.removeDrained(l) })
	}
}

// routing returns the router's settings of a configuration.
func routing(c Config, present []running) router.Settings {
	s := router.Settings{Strict: c.Routing == RoutingStrict, Paused: c.Dispatch == DispatchPaused}
	for _, a := range present {
		s.Members = append(s.Members, router.Member{Analyzer: a.Upstream, Weight: a.target.Weight, Out: outage(a.target.State)})
	}
	return s
}

// outage returns the reason why no packets are routed to an analyzer in a state, or 0 if packets
// are routed to it.
func outage(state string) upstream.Outage {
	switch state {
	case StateDrain:
		return upstream.Drain
	case StateMaint:
		return upstream.Maint
	default:
		return 0
	}
}

// applySettings applies the settings other than those of the analyzers.
func (d *Distributor) applySettings(next Config) {
	switch j := d.journal.(type) {
	case *memory.Journal:
		j.Configure(next.Memory)
	case *disk.Journal:
		j.Configure(next.disk())
	case *jetstream.Journal:
		j.Configure(next.jetStream())
	}
	if d.protocol == nil {
		return // New is not complete, and sets all settings itself
	}
	d.limiter.Configure(next.Rate.Part(d.ClusterSize()))
	d.intake.Configure(next.Intake)
	d.protocol.Configure(next.Native)
	if d.inputs.receivers != nil {
		d.inputs.receivers.Configure(next.Receiver)
	}
	if d.ingestServer != nil { // after Start
		d.ingestServer.Configure(next.Server)
	}
}

// ResetBreaker closes the breaker of an analyzer at once; slow start follows. It may be
// called concurrently.
func (d *Distributor) ResetBreaker(id string) error {
	a, ok := d.find(id)
	if !ok {
		return noAnalyzer(id)
	}
	a.ResetBreaker()
	return nil
}

// OpenBreaker opens the breaker of an analyzer until a time: no probe closes it before. From that
// time on, the analyzer is probed as after any other failure. It may be called concurrently.
func (d *Distributor) OpenBreaker(id string, until time.Time) error {
	a, ok := d.find(id)
	if !ok {
		return noAnalyzer(id)
	}
	a.OpenBreaker(until)
	return nil
}

func noAnalyzer(id string) error { return fmt.Errorf("there is no analyzer with the id %q", id) }
