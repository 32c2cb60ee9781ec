package distributor

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Status is the ledger of a distributor and the status of its analyzers.
type Status struct {
	Accepted, Delivered, DeadLettered packet.Volume
	// Damaged is the volume that was accepted and stored, and could not be read back.
	Damaged packet.Volume
	// Received is the volume that this distributor has to deliver, and Returned the part of it that
	// it returned to a shared journal. Without a shared journal, Received is Accepted and Returned
	// is zero.
	Received, Returned packet.Volume
	// Waiting is the volume that is accepted and not bound to an analyzer.
	Waiting packet.Volume
	// Queued and InFlight are volumes that are bound to analyzers.
	Queued, InFlight packet.Volume
	// Analyzers are those of the configuration in its order, Leaving those that are no longer part
	// of it and still hold packets.
	Analyzers, Leaving []AnalyzerStatus
	// Former are the counters of ids that are no longer part of the configuration.
	Former []router.MemberStats
	// Unaccounted is the number of received messages that no component counts. It is 0 unless a
	// defect lost a packet: each component counts the messages that it holds.
	Unaccounted int64
	// MaxDeviationMessages is the maximum deviation of an analyzer from its share.
	MaxDeviationMessages float64
	// LargestPacketMessages is the size of the largest packet since the latest change of the set of
	// analyzers that get packets.
	LargestPacketMessages int
	// Rates are the rates of the last second.
	Rates Rates
	// Oldest is approximately when the oldest undelivered packet was accepted, zero if there is
	// none. With a memory journal packets of requests in flight do not count.
	Oldest time.Time
}

// AnalyzerStatus is the status of one analyzer.
type AnalyzerStatus struct {
	router.MemberStats
	upstream.Status
	// Spec is the configuration of the analyzer.
	Spec Target
	// Group is the id of the group that the analyzer is a member of, or empty.
	Group string
	// Lease is the lease of an analyzer that registered itself, and nil for others.
	Lease            *discovery.Lease
	Queued, InFlight packet.Volume
	// Out is why no packet can be routed to the analyzer now, or 0, and Until when that ends at the
	// latest, the zero time if that is not known.
	Out   upstream.Outage
	Until time.Time
}

// Status returns the ledger. The components are read one after the other while packets move
// between them, so it samples for up to maxSampling until nothing is unaccounted, and returns
// the best sample. It may be called concurrently after Start.
func (d *Distributor) Status() Status {
	const (
		maxSampling = 250 * time.Millisecond
		interval    = 200 * time.Microsecond
	)
	best := d.sample()
	for start := time.Now(); best.Unaccounted != 0 && time.Since(start) < maxSampling; {
		time.Sleep(interval)
		if next := d.sample(); abs(next.Unaccounted) < abs(best.Unaccounted) {
			best = next
		}
	}
	return d.describe(best)
}

// ledger is a Status in which the analyzers have only their volumes.
type ledger struct {
	Status
	analyzers *analyzerSet
	members   []router.MemberStats
}

// sample reads each component once, as fast as possible: packets move meanwhile.
func (d *Distributor) sample() ledger {
	stats, routed, now := d.journal.Stats(), d.router.Stats(), d.analyzers.Load()
	l := ledger{analyzers: now, members: routed.Members, Status: Status{
		Accepted:     stats.Accepted,
		Delivered:    routed.Delivered,
		DeadLettered: routed.DeadLettered,
		Damaged:      stats.Damaged,
		Received:     stats.Received,
		Returned:     stats.Returned,
		Waiting:      stats.Queued.Plus(routed.Waiting),
		Analyzers:    make([]AnalyzerStatus, len(now.present)),
		Leaving:      make([]AnalyzerStatus, len(now.leaving)),
		Former:       routed.Former,

		MaxDeviationMessages: routed.MaxDeviationMessages, LargestPacketMessages: routed.LargestPacketMessages,
	}}
	add := func(to *AnalyzerStatus, a running) {
		to.Queued, to.InFlight = a.Volumes()
		l.Queued, l.InFlight = l.Queued.Plus(to.Queued), l.InFlight.Plus(to.InFlight)
	}
	for i, a := range now.present {
		add(&l.Analyzers[i], a)
	}
	for i, leaving := range now.leaving {
		add(&l.Leaving[i], leaving.running)
	}
	known := l.Delivered.Plus(l.DeadLettered).Plus(l.Damaged).Plus(l.Waiting).Plus(l.Queued).Plus(l.InFlight)
	l.Unaccounted = l.Received.Minus(l.Returned).Minus(known).Messages
	return l
}

// describe completes a sample.
func (d *Distributor) describe(l ledger) Status {
	now := time.Now()
	members := make(map[string]router.MemberStats, len(l.members))
	for _, m := range l.members {
		members[m.ID] = m
	}
	for i, a := range l.analyzers.present {
		l.Analyzers[i].MemberStats = members[a.ID()]
		l.Analyzers[i].describe(a, now)
		l.Analyzers[i].describeOut(a, now)
		if lease, known := d.leases.Get(a.ID()); known && a.registered {
			l.Analyzers[i].Lease = &lease
		}
	}
	for i, leaving := range l.analyzers.leaving {
		l.Leaving[i].describe(leaving.running, now)
		l.Leaving[i].Out = upstream.Drain
	}
	l.Rates = *d.watcher.rates.last.Load()
	l.Oldest = d.oldest()
	return l.Status
}

// describe sets the fields that the upstream reports.
func (s *AnalyzerStatus) describe(a running, now time.Time) {
	s.ID, s.Spec, s.Group, s.Status = a.ID(), a.target, a.group, a.Status(now)
}

// describeOut sets Out and Until. An analyzer without a share is out for the router; one that is
// full for a moment, or for long with strict routing, keeps its share.
func (s *AnalyzerStatus) describeOut(a running, now time.Time) {
	capacity, _ := a.Capacity(now)
	if s.Out = outage(a.target.State); s.Out == 0 && (s.Effective == 0 || capacity == 0) {
		s.Out, s.Until = a.Outage(now)
	}
}

// waiting returns the volume that is accepted and not bound to an analyzer.
func (d *Distributor) waiting() packet.Volume {
	return d.journal.Stats().Queued.Plus(d.router.Stats().Waiting)
}

func abs(n int64) int64 { return max(n, -n) }
