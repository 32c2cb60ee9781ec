package distributor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// state is the distributor's overall state, in order of severity.
type state int

const (
	stateNormal    state = iota
	stateDegraded        // some analyzers are unhealthy or half-open
	stateSaturated       // packets are refused for lack of capacity or an unwritable journal
	statePanic           // no analyzer is healthy
)

var stateNames = [...]string{"normal", "degraded", "saturated", "panic"}

func (s state) String() string { return stateNames[s] }

// condition is a state with its reason for operators.
type condition struct {
	state  state
	reason string
}

// stateInterval is the sampling interval of the state.
const stateInterval = 100 * time.Millisecond

// watcher samples the state. Its condition may be read concurrently.
type watcher struct {
	distributor *Distributor
	current     atomic.Pointer[condition]
	refusals    refusals
	rates       rates
	scaling     scaling
}

func newWatcher(d *Distributor) *watcher {
	w := &watcher{distributor: d}
	w.rates.last.Store(new(Rates))
	w.scaling.last.Store(new([]autoscale.Decision))
	w.current.Store(&condition{reason: "all analyzers are healthy"})
	return w
}

// run samples the state until the context ends, and logs each transition.
func (w *watcher) run(ctx context.Context) {
	ticker := time.NewTicker(stateInterval)
	defer ticker.Stop()
	for {
		w.sample(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *watcher) sample(now time.Time) {
	w.refusals.sample(w.distributor, now)
	w.rates.sample(w.distributor, now)
	w.scaling.sample(w.distributor, now)
	w.distributor.senders.Sample(&w.distributor.taps, now)
	next := w.distributor.condition(&w.refusals, now)
	before := w.current.Swap(&next)
	if before.state == next.state {
		return
	}
	log := w.distributor.logger.Warn
	if next.state == stateNormal {
		log = w.distributor.logger.Info
	}
	log("the distributor's state has changed", "state", next.state.String(), "before", before.state.String(), "reason", next.reason)
}

// condition returns the most severe state that applies.
func (d *Distributor) condition(r *refusals, now time.Time) condition {
	m := d.membership()
	none, one := "no analyzer is healthy", "one is"
	switch {
	case m.present == 0:
		none, one = "there is no analyzer", "there is one"
	case m.ready == 0:
		none = "no analyzer is ready: all are in state drain or maint"
	case len(m.unhealthy) > 0:
		none += " (" + cmp.Or(commonCause(m.unhealthy), summarize(m.unhealthy)) + ")"
	}
	noneEligible := len(m.unhealthy) == m.ready
	switch {
	case noneEligible && !d.Stores():
		return condition{statePanic, none + ": nothing is accepted until " + one}
	case noneEligible && r.active:
		return condition{statePanic, none + ", and " + r.reason(now, d.journal)}
	case noneEligible:
		return condition{statePanic, none + ": packets are stored until " + one}
	case r.active:
		return condition{stateSaturated, joined(r.reason(now, d.journal), m.String())}
	default:
		return m.condition()
	}
}

// membership is which of the analyzers get no packets, or few, and why.
type membership struct {
	present, ready             int
	unhealthy, halfOpen, taken []lacking // taken are not ready: an operator took them out
}

func (d *Distributor) membership() membership {
	var m membership
	for _, a := range d.present() {
		m.present++
		if a.target.State != StateReady {
			m.taken = append(m.taken, lacking{a.ID(), a.target.State})
			continue
		}
		m.ready++
		switch {
		case !a.Healthy():
			m.unhealthy = append(m.unhealthy, lacking{a.ID(), sink.Cause(a.Cause())})
		case a.HalfOpen():
			m.halfOpen = append(m.halfOpen, lacking{a.ID(), sink.Cause(a.Cause())})
		}
	}
	return m
}

// condition returns the condition of a distributor that refuses no packets.
func (m membership) condition() condition {
	if len(m.unhealthy)+len(m.halfOpen) > 0 {
		return condition{stateDegraded, m.String()}
	}
	return condition{stateNormal, cmp.Or(m.String(), "all analyzers are healthy")}
}

// String describes the analyzers that do not get their share; it is empty if there are none. One whose
// breaker is half-open is not well yet: it may fail with the few packets that it gets.
func (m membership) String() string {
	var parts []string
	if len(m.unhealthy) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d analyzers are unhealthy, the others take their share: %s", len(m.unhealthy), m.ready, summarize(m.unhealthy)))
	}
	if len(m.halfOpen) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d analyzers failed and are tried with a few packets: %s", len(m.halfOpen), m.ready, summarize(m.halfOpen)))
	}
	if len(m.taken) > 0 {
		parts = append(parts, "operators took out "+summarize(m.taken))
	}
	return strings.Join(parts, "; ")
}

func joined(reason, more string) string {
	if more == "" {
		return reason
	}
	return reason + "; " + more
}

// lacking is an analyzer that does not get its share, and why; the cause is empty if it is not known.
type lacking struct{ id, cause string }

func (o lacking) String() string {
	if o.cause == "" {
		return o.id
	}
	return o.id + " (" + o.cause + ")"
}

// commonCause returns the cause that all analyzers have in common, or "".
func commonCause(outages []lacking) string {
	cause := outages[0].cause
	if slices.ContainsFunc(outages, func(o lacking) bool { return o.cause != cause }) {
		return ""
	}
	return cause
}

// summarize joins the first analyzers, with a common cause once, and appends the number of the others.
func summarize(outages []lacking) string {
	const limit = 5
	shown := outages[:min(limit, len(outages))]
	cause := commonCause(outages)
	common := len(shown) > 1 && cause != ""
	var names []string
	for _, o := range shown {
		if common {
			o.cause = ""
		}
		names = append(names, o.String())
	}
	text := strings.Join(names, ", ")
	if more := len(outages) - limit; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if common {
		text += " (each: " + cause + ")"
	}
	return text
}

// register registers a gauge for each state, which is 1 for the current one.
func (w *watcher) register(registerer prometheus.Registerer) error {
	r := metric.On(registerer)
	for s := stateNormal; s <= statePanic; s++ {
		r.GaugeFunc("distributor_state", "1 for the current state of the distributor.", prometheus.Labels{"state": s.String()},
			func() float64 { return metric.Bool(w.current.Load().state == s) })
	}
	return r.Err()
}

// State returns the overall state, normal, degraded, saturated or panic, and its reason. It
// may be called concurrently after Start, as Ready may.
func (d *Distributor) State() (state, reason string) {
	now := d.watcher.current.Load()
	return now.state.String(), now.reason
}

// Ready returns why no packet is accepted now, or nil.
func (d *Distributor) Ready() *problem.Problem { return d.protocol.Ready() }
