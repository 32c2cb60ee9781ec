package distributor

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/autoscale"
)

const (
	// scaleInterval is the interval of decisions.
	scaleInterval = time.Second
	// arrivalIntervals is the number of intervals over which arrivals are averaged, so that a burst
	// counts by the backlog that it leaves.
	arrivalIntervals = 5
)

// scaling decides how many analyzers each group needs. sample is called every stateInterval; last
// may be read concurrently.
type scaling struct {
	last     atomic.Pointer[[]autoscale.Decision]
	at       time.Time // of the latest decisions
	arrivals []arrival // the oldest first
	scalers  map[string]*autoscale.Scaler
}

// arrival is the number of messages that had arrived at a time.
type arrival struct {
	at       time.Time
	messages int64 // total
}

// Scale returns how many analyzers each group needs, by the names of the groups, as decided within
// the last second. It omits groups without a ready analyzer, unless they have no members. The
// caller must not change it. It may be called concurrently after Start.
func (d *Distributor) Scale() []autoscale.Decision { return *d.watcher.scaling.last.Load() }

func (s *scaling) sample(d *Distributor, now time.Time) {
	if now.Sub(s.at) < scaleInterval {
		return
	}
	s.at = now
	config := d.Config()
	groups := d.groupLoads(config)
	arriving, waiting := s.arriving(now, d.journal.Stats().Received.Messages), float64(d.waiting().Messages)
	before := s.scalers
	s.scalers = make(map[string]*autoscale.Scaler, len(groups))
	decisions := make([]autoscale.Decision, 0, len(groups))
	for _, g := range groups {
		scaler := before[g.name]
		if scaler == nil {
			scaler = new(autoscale.Scaler)
		}
		s.scalers[g.name] = scaler
		share := g.share(groups)
		decisions = append(decisions, scaler.Decide(now, config.Autoscale, autoscale.Inputs{
			Group: g.name, Current: g.ready, Healthy: g.healthy,
			Arriving: share * arriving, Backlog: share*waiting + float64(g.bound), Pace: g.pace(),
			Paused: config.Dispatch == DispatchPaused,
		}))
	}
	s.last.Store(&decisions)
}

// arriving returns the messages per second of the last intervals.
func (s *scaling) arriving(now time.Time, messages int64) float64 {
	s.arrivals = append(s.arrivals, arrival{now, messages})
	if surplus := len(s.arrivals) - 1 - arrivalIntervals; surplus > 0 {
		s.arrivals = append(s.arrivals[:0], s.arrivals[surplus:]...)
	}
	oldest := s.arrivals[0]
	if seconds := now.Sub(oldest.at).Seconds(); seconds > 0 {
		return float64(messages-oldest.messages) / seconds
	}
	return 0
}

// groupLoad has the load and the capacity of a group of analyzers.
type groupLoad struct {
	name           string
	weight         float64 // weight of the ready members, or of a group without members
	ready, healthy int
	bound          int64   // messages
	paces          float64 // the sum of the known full paces
	known          int     // their number
}

// groupLoads returns the loads of all groups, by name.
func (d *Distributor) groupLoads(config Config) (loads []*groupLoad) {
	of := func(name string) *groupLoad {
		at := slices.IndexFunc(loads, func(g *groupLoad) bool { return g.name == name })
		if at < 0 {
			loads = append(loads, &groupLoad{name: name})
			at = len(loads) - 1
		}
		return loads[at]
	}
	present := d.present()
	for _, a := range present {
		if a.target.State == StateReady {
			of(cmp.Or(a.group, autoscale.Default)).add(a)
		}
	}
	for _, t := range config.Targets {
		if _, isGroup, _ := t.group(); isGroup && t.State == StateReady && !slices.ContainsFunc(present, func(a running) bool { return a.group == t.ID }) {
			of(t.ID).weight += t.Weight
		}
	}
	slices.SortFunc(loads, func(a, b *groupLoad) int { return cmp.Compare(a.name, b.name) })
	return loads
}

func (g *groupLoad) add(a running) {
	queued, inFlight := a.Volumes()
	g.ready++
	g.weight += a.target.Weight
	g.bound += queued.Plus(inFlight).Messages
	if a.eligible() {
		g.healthy++
	}
	if pace := a.FullPace(); pace > 0 {
		g.paces += pace
		g.known++
	}
}

// pace returns the mean of the full paces, 0 if none is known.
func (g *groupLoad) pace() float64 {
	if g.known == 0 {
		return 0
	}
	return g.paces / float64(g.known)
}

// share returns the fraction of all messages that the group gets, or would get if it were healthy:
// groups without a healthy analyzer get nothing.
func (g *groupLoad) share(all []*groupLoad) float64 {
	sum := 0.0
	for _, one := range all {
		if one == g || one.healthy > 0 {
			sum += one.weight
		}
	}
	return g.weight / sum
}

// scaleCollector exports the decisions.
type scaleCollector struct{ scaling *scaling }

var (
	desiredAnalyzers = prometheus.NewDesc("distributor_desired_analyzers", "Analyzers that the group needs for what arrives and waits, within AUTOSCALE_MIN and AUTOSCALE_MAX.", []string{"group"}, nil)
	neededAnalyzers  = prometheus.NewDesc("distributor_needed_analyzers", "Analyzers that the group needs at this moment, without bounds and quiet time.", []string{"group"}, nil)
	currentAnalyzers = prometheus.NewDesc("distributor_current_analyzers", "Analyzers of the group in state ready.", []string{"group"}, nil)
)

// Describe implements prometheus.Collector.
func (c scaleCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- desiredAnalyzers
	descriptions <- neededAnalyzers
	descriptions <- currentAnalyzers
}

// Collect implements prometheus.Collector.
func (c scaleCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, d := range *c.scaling.last.Load() {
		metrics <- prometheus.MustNewConstMetric(desiredAnalyzers, prometheus.GaugeValue, float64(d.Desired), d.Group)
		metrics <- prometheus.MustNewConstMetric(neededAnalyzers, prometheus.GaugeValue, float64(d.Needed), d.Group)
		metrics <- prometheus.MustNewConstMetric(currentAnalyzers, prometheus.GaugeValue, float64(d.Current), d.Group)
	}
}

// groupCount returns how many of the targets are groups.
func (t Targets) groupCount() (n int) {
	for _, one := range t {
		if _, isGroup, _ := one.group(); isGroup {
			n++
		}
	}
	return n
}
