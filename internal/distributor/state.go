package distributor

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// state is a mode of the whole, from good to bad.
type state int

const (
	stateNormal    state = iota
	stateDegraded        // some analyzers are out
	stateSaturated       // packets are refused for lack of room
	statePanic           // no analyzer is healthy
)

var stateNames = [...]string{"normal", "degraded", "saturated", "panic"}

func (s state) String() string { return stateNames[s] }

// condition is a state with its reason for people.
type condition struct {
	state  state
	reason string
}

// stateInterval is how often the state is looked at.
const stateInterval = 100 * time.Millisecond

// watcher follows the state. Its condition may be read concurrently.
type watcher struct {
	distributor *Distributor
	current     atomic.Pointer[condition]
	refusals    refusals
}

func newWatcher(d *Distributor) *watcher {
	w := &watcher{distributor: d}
	w.current.Store(&condition{reason: "all analyzers are healthy"})
	return w
}

// run looks at the state until the context ends, and logs each edge once.
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

// condition names the worst that holds.
func (d *Distributor) condition(r *refusals, now time.Time) condition {
	var out []string
	for _, a := range d.present() {
		if !a.Healthy() {
			out = append(out, a.ID())
		}
	}
	nobody := len(out) == len(d.present())
	switch {
	case nobody && !d.Stores():
		return condition{statePanic, "no analyzer is healthy: nothing is accepted until one is"}
	case nobody && r.active:
		return condition{statePanic, "no analyzer is healthy, and " + r.reason(now, d.journal.Utilization())}
	case nobody:
		return condition{statePanic, "no analyzer is healthy: packets are stored until one is"}
	case r.active:
		return condition{stateSaturated, r.reason(now, d.journal.Utilization())}
	case len(out) > 0:
		return condition{stateDegraded, fmt.Sprintf("%d of %d analyzers are out, the others carry their share: %s", len(out), len(d.present()), summarize(out))}
	default:
		return condition{stateNormal, "all analyzers are healthy"}
	}
}

// list names a few, and how many more there are.
func summarize(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// register shows the state as a gauge for each name, 1 for the present one.
func (w *watcher) register(registerer prometheus.Registerer) error {
	for s := stateNormal; s <= statePanic; s++ {
		gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "distributor_state", Help: "1 for the state that the distributor is in.",
			ConstLabels: prometheus.Labels{"state": s.String()},
		}, func() float64 {
			if w.current.Load().state == s {
				return 1
			}
			return 0
		})
		if err := registerer.Register(gauge); err != nil {
			return err
		}
	}
	return nil
}
