package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// analyzer is a simulated analyzer. Its clock is that of the simulation.
type analyzer struct {
	sim  *Simulation
	id   string
	pace float64 // messages per second; 0 is no limit

	queue     ring.Queue[upstream.Delivery] // the first one is being delivered
	limit     *upstream.Limit
	busyUntil time.Time // end of the delivery of the first packet
	down      bool
	rampFrom  time.Time // start of the slow start

	furthest float64 // from its share, in messages
	longest  int     // packets in the queue
	waits    *hdrhistogram.Histogram
}

func newAnalyzer(s *Simulation, a Analyzer) *analyzer {
	return &analyzer{sim: s, id: a.ID, pace: a.Pace, limit: upstream.NewLimit(s.config.Upstream), waits: newWaits()}
}

// newWaits returns a histogram of microseconds up to an hour.
func newWaits() *hdrhistogram.Histogram {
	const significantDigits = 3
	return hdrhistogram.New(1, time.Hour.Microseconds(), significantDigits)
}

func quantile99(waits *hdrhistogram.Histogram) time.Duration {
	return time.Duration(waits.ValueAtQuantile(99)) * time.Microsecond
}

// ID implements router.Analyzer, as the methods below do.
func (a *analyzer) ID() string { return a.id }

func (a *analyzer) Capacity(time.Time) (packets int, transient bool) {
	if a.down {
		return 0, false
	}
	return max(a.limit.Packets()-a.queue.Len(), 0), true
}

func (a *analyzer) BelowLowWatermark() bool { return a.queue.Len() <= a.limit.Packets()/2 }

func (a *analyzer) Outage(time.Time) (reason upstream.Outage, until time.Time) {
	if a.down {
		return upstream.BreakerOpen, time.Time{}
	}
	return upstream.NoRoom, time.Time{}
}

func (a *analyzer) Ramp(time.Time) float64 {
	const minRamp = 0.1
	elapsed, slowStart := a.sim.now.Sub(a.rampFrom), a.sim.config.Upstream.SlowStart
	if a.rampFrom.IsZero() || elapsed >= slowStart {
		return 1
	}
	return max(minRamp, float64(elapsed)/float64(slowStart))
}

func (a *analyzer) Tick() {
	if keep, excess := a.limit.Adapt(a.queue.Len()); excess {
		a.giveBack(max(keep, 1)) // the first packet is being delivered
	}
}

func (a *analyzer) ProbeSoon(time.Time) {}

func (a *analyzer) Offer(deliveries []upstream.Delivery) {
	for _, d := range deliveries {
		a.queue.Push(d)
		if a.queue.Len() == 1 {
			a.begin()
		}
	}
	a.longest = max(a.longest, a.queue.Len())
	for a.busy() && !a.busyUntil.After(a.sim.now) {
		a.deliver()
	}
}

func (a *analyzer) busy() bool { return a.queue.Len() > 0 && !a.down }

// begin begins the delivery of the first packet.
func (a *analyzer) begin() {
	a.busyUntil = a.sim.now
	if a.pace > 0 {
		messages := float64(a.queue.First().Packet.Messages)
		a.busyUntil = a.sim.now.Add(time.Duration(messages / a.pace * float64(time.Second)))
	}
}

// deliver ends the delivery of the first packet.
func (a *analyzer) deliver() {
	d := a.queue.Pop()
	_ = a.waits.RecordValue(min(a.sim.now.Sub(d.Packet.Accepted), time.Hour).Microseconds()) // in the range of the histogram
	a.limit.Settled(1)
	if a.queue.Len() > 0 {
		a.begin()
	}
	a.sim.dispatcher.Delivered(a.id, []upstream.Delivery{d})
}

// giveBack returns the newest packets until keep are left.
func (a *analyzer) giveBack(keep int) {
	var back []upstream.Delivery
	for a.queue.Len() > keep {
		back = append(back, a.queue.PopLast())
	}
	if len(back) > 0 {
		a.sim.dispatcher.Nacked(a.id, back)
	}
}

// find returns the analyzer with an id.
func (s *Simulation) find(id string) (*analyzer, error) {
	for _, a := range s.analyzers {
		if a.id == id {
			return a, nil
		}
	}
	return nil, fmt.Errorf("there is no analyzer %q", id)
}

// down opens the breaker of an analyzer: its packets are rerouted.
func (s *Simulation) down(id string) error {
	a, err := s.find(id)
	if err != nil || a.down {
		return err
	}
	a.down = true
	a.giveBack(0)
	return nil
}

// up ends what down began, with a slow start.
func (s *Simulation) up(id string) error {
	a, err := s.find(id)
	if err != nil || !a.down {
		return err
	}
	a.down, a.rampFrom = false, s.now
	return nil
}

// setWeight changes the weight of an analyzer.
func (s *Simulation) setWeight(id string, weight float64) error {
	return s.configure(id, func(m *router.Member) { m.Weight = weight })
}

// setOut stops routing to an analyzer, which delivers its queue, for a reason, or resumes it
// if the reason is 0.
func (s *Simulation) setOut(id string, reason upstream.Outage) error {
	return s.configure(id, func(m *router.Member) { m.Out = reason })
}

// configure changes the settings of one analyzer.
func (s *Simulation) configure(id string, change func(*router.Member)) error {
	i := slices.IndexFunc(s.settings.Members, func(m router.Member) bool { return m.Analyzer.ID() == id })
	if i < 0 {
		return fmt.Errorf("there is no analyzer %q", id)
	}
	s.settings.Members = slices.Clone(s.settings.Members)
	change(&s.settings.Members[i])
	return s.dispatcher.Configure(s.settings)
}

// maintain stops routing to an analyzer and reroutes its queue.
func (s *Simulation) maintain(id string) error {
	a, err := s.find(id)
	if err == nil {
		err = s.setOut(id, upstream.Maint)
	}
	if err == nil {
		a.giveBack(0)
	}
	return err
}

// setPace changes the pace of an analyzer from its next packet on.
func (s *Simulation) setPace(id string, messagesPerSecond float64) error {
	a, err := s.find(id)
	if err == nil {
		a.pace = messagesPerSecond
	}
	return err
}
