// Package simulate runs the router over a virtual clock, with simulated analyzers, on the
// arrivals of a recorded trace or synthetic ones. The routing is that of package router
// itself, or that of a load balancer to compare with.
//
// An analyzer delivers its packets one after the other, each in the time that its pace needs
// for the packet's messages, or at once if it has no pace. While it is down its breaker is
// open, which is noticed at once; then it joins again with a slow start.
package simulate

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Config is what is simulated.
type Config struct {
	Analyzers []Analyzer
	// Upstream has the limits and the slow start of the analyzers.
	Upstream upstream.Config
	// Strict is ROUTING=strict.
	Strict bool
	// Stores is JOURNAL=disk: packets are accepted without analyzers, and without limit.
	Stores bool
	// QueuePackets is the maximum number of packets in the memory journal.
	QueuePackets int
}

// Analyzer is a simulated analyzer.
type Analyzer struct {
	ID     string
	Weight float64
	// Pace is in messages per second; 0 is no limit.
	Pace float64
}

// Arrival is a packet that emitters send.
type Arrival struct {
	At       time.Duration // since the start
	Messages int
}

// Event is a change at a time.
type Event struct {
	At    time.Duration // since the start
	Apply func(*Simulation) error
}

// dispatcher distributes packets over analyzers: the router, or a balancer.
type dispatcher interface {
	upstream.Settler
	Configure(settings router.Settings) error
	Round(ctx context.Context, now time.Time) bool
	Tick(now time.Time)
	Stats() router.Stats
}

// maxDrain is for how long a simulation continues after the last arrival and event, if packets
// wait.
const maxDrain = time.Minute

// epoch is the time of the start.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Simulation is one run. It must not be used concurrently.
type Simulation struct {
	config     Config
	dispatcher dispatcher
	settings   router.Settings
	analyzers  []*analyzer
	journal    journal
	now        time.Time
	result     Result
}

// New returns a simulation of a policy; see Policies.
func New(config Config, policy string, seed uint64) (*Simulation, error) {
	s := &Simulation{config: config, now: epoch, result: Result{Policy: policy}, settings: router.Settings{Strict: config.Strict}}
	s.dispatcher = s.newDispatcher(policy, seed)
	for _, one := range config.Analyzers {
		a := newAnalyzer(s, one)
		s.analyzers = append(s.analyzers, a)
		s.settings.Members = append(s.settings.Members, router.Member{Analyzer: a, Weight: one.Weight})
	}
	return s, s.dispatcher.Configure(s.settings)
}

func (s *Simulation) newDispatcher(policy string, seed uint64) dispatcher {
	if policy != Fair {
		return newBalancer(&s.journal, policy, seed)
	}
	return router.New(router.Dependencies{
		Journal: &s.journal, RetryBudget: new(retrybudget.Budget), Logger: slog.New(slog.DiscardHandler),
	})
}

// Run simulates arrivals and events, both in the order of their times, and what follows
// until all is delivered. It ends early with the context's error.
func (s *Simulation) Run(ctx context.Context, arrivals []Arrival, events []Event) (Result, error) {
	tick := epoch
	last := s.lastTime(arrivals, events)
	for steps := 0; ; steps++ {
		if steps%1024 == 0 && ctx.Err() != nil {
			return s.result, ctx.Err()
		}
		next := tick
		if len(arrivals) > 0 {
			next = earlier(next, epoch.Add(arrivals[0].At))
		}
		if len(events) > 0 {
			next = earlier(next, epoch.Add(events[0].At))
		}
		if a := s.nextDelivery(); a != nil {
			next = earlier(next, a.busyUntil)
		}
		if len(arrivals) == 0 && len(events) == 0 && (s.journal.outstanding == 0 && next.After(last) || next.After(last.Add(maxDrain))) {
			return s.finish(), nil
		}
		s.now = next
		if !tick.After(next) {
			s.dispatcher.Tick(next)
			tick = tick.Add(upstream.TickInterval)
		}
		for ; len(events) > 0 && !epoch.Add(events[0].At).After(next); events = events[1:] {
			if err := events[0].Apply(s); err != nil {
				return s.result, err
			}
		}
		for ; len(arrivals) > 0 && !epoch.Add(arrivals[0].At).After(next); arrivals = arrivals[1:] {
			s.arrive(arrivals[0])
		}
		for a := s.nextDelivery(); a != nil && !a.busyUntil.After(next); a = s.nextDelivery() {
			a.deliver()
		}
		s.route(ctx)
	}
}

func (s *Simulation) lastTime(arrivals []Arrival, events []Event) time.Time {
	last := epoch
	if n := len(arrivals); n > 0 {
		last = later(last, epoch.Add(arrivals[n-1].At))
	}
	if n := len(events); n > 0 {
		last = later(last, epoch.Add(events[n-1].At))
	}
	return last
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// nextDelivery returns the analyzer that delivers next, or nil.
func (s *Simulation) nextDelivery() (next *analyzer) {
	for _, a := range s.analyzers {
		if a.busy() && (next == nil || a.busyUntil.Before(next.busyUntil)) {
			next = a
		}
	}
	return next
}

// arrive accepts or refuses a packet.
func (s *Simulation) arrive(a Arrival) {
	up := slices.ContainsFunc(s.analyzers, func(a *analyzer) bool { return !a.down })
	if !s.config.Stores && (!up || s.journal.queued.Len() >= s.config.QueuePackets) {
		s.result.Refused++
		return
	}
	s.result.Accepted++
	s.journal.append(&packet.Packet{Info: packet.Info{Messages: a.Messages}, Accepted: s.now})
}

// route routes what can be routed now, and observes the deviations.
func (s *Simulation) route(ctx context.Context) {
	for routed := true; routed; {
		if routed = s.dispatcher.Round(ctx, s.now); routed {
			s.observe()
		}
	}
	s.result.LongestQueue = max(s.result.LongestQueue, s.journal.outstanding)
}

// observe records how far off the analyzers are after a round.
func (s *Simulation) observe() {
	stats := s.dispatcher.Stats()
	s.result.Bound = max(s.result.Bound, stats.MaxDeviationMessages)
	for i, m := range stats.Members {
		s.analyzers[i].furthest = max(s.analyzers[i].furthest, m.DeviationMessages, -m.DeviationMessages)
	}
}

// finish completes the result.
func (s *Simulation) finish() Result {
	s.result.Left = s.journal.outstanding
	waits, total := newWaits(), int64(0)
	for _, m := range s.dispatcher.Stats().Members {
		total += m.Routed.Messages
	}
	for i, m := range s.dispatcher.Stats().Members {
		a := s.analyzers[i]
		waits.Merge(a.waits)
		s.result.Analyzers = append(s.result.Analyzers, AnalyzerResult{
			ID: a.id, Target: m.Target, Share: ratio(m.Routed.Messages, total), Messages: m.Routed.Messages,
			FurthestOff: a.furthest, LongestQueue: a.longest, P99Wait: quantile99(a.waits),
		})
	}
	s.result.P99Wait = quantile99(waits)
	return s.result
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
