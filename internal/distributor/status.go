package distributor

import (
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Status is the ledger of a distributor and the status of its analyzers.
type Status struct {
	Accepted, Delivered, DeadLettered packet.Volume
	// Damaged was accepted by a disk journal and could not be read back.
	Damaged packet.Volume
	// Waiting is accepted and not bound to an analyzer.
	Waiting packet.Volume
	// Queued and InFlight are bound to analyzers.
	Queued, InFlight packet.Volume
	// Analyzers are those of the configuration in its order, Leaving those that are
	// no longer part of it and still hold packets.
	Analyzers, Leaving []AnalyzerStatus
	// Former are the counters of ids that are no longer part of the configuration.
	Former []router.MemberStats
	// Unaccounted is the number of accepted messages that no component has. It is 0
	// unless a defect lost a packet: each component counts what it holds itself.
	Unaccounted int64
	// MaxDeviationMessages is the maximum deviation of an analyzer from its share.
	MaxDeviationMessages float64
	// Rates are those of the last second.
	Rates Rates
	// Oldest is about when the oldest undelivered packet was accepted, zero if there is
	// none or the journal does not know.
	Oldest time.Time
}

// AnalyzerStatus is the status of one analyzer.
type AnalyzerStatus struct {
	router.MemberStats
	upstream.Status
	// Spec is what the configuration says of the analyzer.
	Spec             Target
	Queued, InFlight packet.Volume
	// Out is why the analyzer is offered no packets, the zero value if it is.
	Out Out
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
	return best
}

// sample reads each component once.
func (d *Distributor) sample() Status {
	stats, routed := d.journal.Stats(), d.router.Stats()
	status := Status{
		Accepted:     stats.Accepted,
		Delivered:    routed.Delivered,
		DeadLettered: routed.DeadLettered,
		Damaged:      stats.Damaged,
		Waiting:      stats.Queued.Plus(routed.Waiting),
		Former:       routed.Former,

		MaxDeviationMessages: routed.MaxDeviationMessages,
	}
	members := make(map[string]router.MemberStats, len(routed.Members))
	for _, m := range routed.Members {
		members[m.ID] = m
	}
	status.Rates = *d.watcher.rates.last.Load()
	if j, ok := d.journal.(*disk.Journal); ok {
		status.Oldest = j.Status().Oldest
	}
	roster, now := d.roster.Load(), time.Now()
	for _, a := range roster.present {
		status.Analyzers = append(status.Analyzers, statusOf(a, members[a.ID()], now))
	}
	for _, l := range roster.leaving {
		status.Leaving = append(status.Leaving, statusOf(l.running, router.MemberStats{}, now))
	}
	for _, a := range slices.Concat(status.Analyzers, status.Leaving) {
		status.Queued, status.InFlight = status.Queued.Plus(a.Queued), status.InFlight.Plus(a.InFlight)
	}
	known := status.Delivered.Plus(status.DeadLettered).Plus(status.Damaged).Plus(status.Waiting).Plus(status.Queued).Plus(status.InFlight)
	status.Unaccounted = status.Accepted.Minus(known).Messages
	return status
}

func statusOf(a running, stats router.MemberStats, now time.Time) AnalyzerStatus {
	s := AnalyzerStatus{MemberStats: stats, Spec: a.target, Status: a.Status(now)}
	s.ID = a.ID()
	s.Queued, s.InFlight = a.Volumes()
	s.Out = outOf(s, now)
	return s
}

// waiting returns the volume that is accepted and not bound to an analyzer.
func (d *Distributor) waiting() packet.Volume {
	return d.journal.Stats().Queued.Plus(d.router.Stats().Waiting)
}

func abs(n int64) int64 { return max(n, -n) }
