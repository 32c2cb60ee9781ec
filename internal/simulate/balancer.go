package simulate

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// The policies.
const (
	Fair   = "fair"   // package router
	Random = "random" // weighted random, for each packet
	WRR    = "wrr"    // smooth weighted round robin over packets, as in nginx
	Least  = "least"  // fewest outstanding packets for its weight; the fewest packets so far among equals
)

// Others are the policies besides Fair.
func Others() []string { return []string{Random, WRR, Least} }

// balancer distributes packets as load balancers distribute requests: a packet of any size
// counts as one.
type balancer struct {
	journal *journal
	policy  string
	random  *rand.Rand
	members []*balanced
	// returned are packets that analyzers gave back.
	returned ring.Queue[upstream.Delivery]
	eligible []*balanced
}

// balanced is an analyzer of a balancer.
type balanced struct {
	router.Analyzer
	weight      float64 // configured
	ramped      float64 // times the ramp
	out         upstream.Outage
	outstanding int
	sent        float64 // packets
	current     float64 // of WRR
	stats       router.MemberStats
}

func newBalancer(j *journal, policy string, seed uint64) *balancer {
	return &balancer{journal: j, policy: policy, random: rand.New(rand.NewPCG(seed, 2))}
}

// Configure implements dispatcher, as the methods below do.
func (b *balancer) Configure(settings router.Settings) error {
	for i, one := range settings.Members {
		if i == len(b.members) {
			b.members = append(b.members, &balanced{Analyzer: one.Analyzer, stats: router.MemberStats{ID: one.Analyzer.ID()}})
		}
		m := b.members[i]
		m.weight, m.ramped, m.out = one.Weight, one.Weight*m.Ramp(time.Time{}), one.Out
	}
	b.eligible = nil // new shares
	return nil
}

func (b *balancer) Round(_ context.Context, now time.Time) (routed bool) {
	for {
		capable := b.refresh(now)
		if len(capable) == 0 {
			return routed
		}
		d, ok := b.next()
		if !ok {
			return routed
		}
		b.bind(b.pick(capable), d)
		routed = true
	}
}

// refresh updates which analyzers are eligible, and returns those with capacity.
func (b *balancer) refresh(now time.Time) (capable []*balanced) {
	var eligible []*balanced
	for _, m := range b.members {
		capacity, transient := m.Capacity(now)
		if m.out != 0 || capacity == 0 && !transient {
			continue
		}
		eligible = append(eligible, m)
		if capacity > 0 {
			capable = append(capable, m)
		}
	}
	if !slices.Equal(eligible, b.eligible) {
		b.setEligible(eligible)
	}
	return capable
}

// setEligible replaces the analyzers that packets are distributed over. As with the router,
// deviations count since the last change.
func (b *balancer) setEligible(eligible []*balanced) {
	b.eligible = eligible
	sum := sumOf(eligible)
	for _, m := range b.members {
		m.stats.DeviationMessages, m.stats.Effective, m.current = 0, 0, 0
	}
	for _, m := range eligible {
		m.stats.Effective = m.ramped / sum
	}
}

func sumOf(members []*balanced) (sum float64) {
	for _, m := range members {
		sum += m.ramped
	}
	return sum
}

func (b *balancer) next() (d upstream.Delivery, ok bool) {
	switch {
	case b.returned.Len() > 0:
		return b.returned.Pop(), true
	case b.journal.queued.Len() > 0:
		return upstream.Delivery{Packet: b.journal.queued.Pop()}, true
	default:
		return d, false
	}
}

// pick picks one of the analyzers with capacity.
func (b *balancer) pick(capable []*balanced) *balanced {
	switch b.policy {
	case Random:
		draw := b.random.Float64() * sumOf(capable)
		for _, m := range capable {
			if draw -= m.ramped; draw < 0 {
				return m
			}
		}
		return capable[len(capable)-1]
	case WRR:
		for _, m := range capable {
			m.current += m.ramped
		}
		chosen := lowest(capable, func(m *balanced) (float64, float64) { return -m.current, 0 })
		chosen.current -= sumOf(capable)
		return chosen
	default:
		return lowest(capable, func(m *balanced) (float64, float64) { return float64(m.outstanding) / m.ramped, m.sent / m.ramped })
	}
}

// lowest returns the analyzer with the lowest cost, and of equal ones the one with the lowest
// second cost.
func lowest(members []*balanced, cost func(*balanced) (float64, float64)) (best *balanced) {
	first, second := math.Inf(1), math.Inf(1)
	for _, m := range members {
		if a, b := cost(m); best == nil || a < first || a == first && b < second {
			best, first, second = m, a, b
		}
	}
	return best
}

func (b *balancer) bind(to *balanced, d upstream.Delivery) {
	messages := float64(d.Packet.Messages)
	for _, m := range b.eligible {
		m.stats.DeviationMessages += m.stats.Effective * messages
	}
	to.stats.DeviationMessages -= messages
	to.outstanding++
	to.sent++
	to.stats.Routed.Add(d.Packet)
	d.Analyzer = to.stats.ID
	to.Offer([]upstream.Delivery{d})
}

func (b *balancer) find(id string) *balanced {
	if i := slices.IndexFunc(b.members, func(m *balanced) bool { return m.stats.ID == id }); i >= 0 {
		return b.members[i]
	}
	return nil
}

func (b *balancer) Tick(now time.Time) {
	for _, m := range b.members {
		m.Tick()
		if ramped := m.weight * m.Ramp(now); ramped != m.ramped {
			m.ramped, b.eligible = ramped, nil // new shares
		}
	}
}

func (b *balancer) Delivered(id string, deliveries []upstream.Delivery) {
	b.find(id).outstanding -= len(deliveries)
	b.journal.Ack(upstream.AppendPackets(make([]*packet.Packet, 0, len(deliveries)), deliveries))
}

func (b *balancer) Nacked(id string, deliveries []upstream.Delivery) {
	b.find(id).outstanding -= len(deliveries)
	for _, d := range deliveries {
		b.returned.Push(d)
	}
}

func (b *balancer) Rejected(string, []upstream.Rejection) {}

func (b *balancer) CapacityChanged() {}

func (b *balancer) Stats() (stats router.Stats) {
	sum := 0.0
	for _, m := range b.members {
		sum += m.weight
	}
	for _, m := range b.members {
		m.stats.Target = m.weight / sum
		stats.Members = append(stats.Members, m.stats)
	}
	return stats
}
