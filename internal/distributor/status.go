package distributor

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/router"
)

// Status is the ledger of a distributor and the status of its analyzers.
type Status struct {
	Accepted, Delivered, DeadLettered packet.Volume
	// Damaged was accepted by a disk journal and could not be read back.
	Damaged packet.Volume
	// Waiting is accepted and not bound to an analyzer.
	Waiting   packet.Volume
	Analyzers []AnalyzerStatus
	// Unaccounted is the number of accepted messages that no component has. It is 0
	// unless a defect lost a packet: each component counts what it holds itself.
	Unaccounted int64
}

// AnalyzerStatus is the status of one analyzer.
type AnalyzerStatus struct {
	router.MemberStats
	Queued, InFlight packet.Volume
	Healthy          bool
	// Health is a short description of the health.
	Health string
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
	}
	known := status.Delivered.Plus(status.DeadLettered).Plus(status.Damaged).Plus(status.Waiting)
	members := make(map[string]router.MemberStats, len(routed.Members))
	for _, m := range routed.Members {
		members[m.ID] = m
	}
	for _, analyzer := range d.present() {
		one := AnalyzerStatus{MemberStats: members[analyzer.ID()], Healthy: analyzer.Healthy(), Health: analyzer.Health()}
		one.ID = analyzer.ID()
		one.Queued, one.InFlight = analyzer.Volumes()
		known = known.Plus(one.Queued).Plus(one.InFlight)
		status.Analyzers = append(status.Analyzers, one)
	}
	status.Unaccounted = status.Accepted.Minus(known).Messages
	return status
}

// waiting returns the volume that is accepted and not bound to an analyzer.
func (d *Distributor) waiting() packet.Volume {
	return d.journal.Stats().Queued.Plus(d.router.Stats().Waiting)
}

func abs(n int64) int64 { return max(n, -n) }
