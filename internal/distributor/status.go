package distributor

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/router"
)

// Status is what a distributor is and has done.
type Status struct {
	Accepted, Delivered, DeadLettered packet.Volume
	// Damaged was accepted by a disk journal and could not be read back.
	Damaged packet.Volume
	// Waiting is accepted and not bound to an analyzer.
	Waiting   packet.Volume
	Analyzers []AnalyzerStatus
	// Unaccounted is accepted messages that are none of the above, nor bound to
	// an analyzer: 0, unless there is a defect. Each place is asked what it
	// holds by itself, so a packet that somebody forgot does show.
	Unaccounted int64
}

// AnalyzerStatus is one analyzer's part.
type AnalyzerStatus struct {
	router.MemberStats
	Queued, InFlight packet.Volume
	Healthy          bool
	// Health is a word for people.
	Health string
}

// Status returns terms that balance. Packets change hands while the places are
// asked one after the other; then they are asked again, for as long as whoever
// has a packet in hand may be kept from the processor. Only a difference that
// stays is one. It may be called concurrently, once the distributor has started.
func (d *Distributor) Status() Status {
	const (
		longest = 250 * time.Millisecond
		pause   = 200 * time.Microsecond
	)
	best := d.sample()
	for start := time.Now(); best.Unaccounted != 0 && time.Since(start) < longest; {
		time.Sleep(pause)
		if seen := d.sample(); abs(seen.Unaccounted) < abs(best.Unaccounted) {
			best = seen
		}
	}
	return best
}

// look asks each place once.
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

// waiting is what is accepted and not bound to an analyzer.
func (d *Distributor) waiting() packet.Volume {
	return d.journal.Stats().Queued.Plus(d.router.Stats().Waiting)
}

func abs(n int64) int64 { return max(n, -n) }
