package distributor

import (
	"time"

	"logstreamer/internal/packet"
)

// Unaccounted returns accepted messages that are neither delivered, nor dead
// letters, nor found in any queue or on the way to an analyzer, nor set aside as
// damaged: 0, unless there is a defect. Each place is asked what it holds by itself, so a packet that
// somebody forgot does show.
//
// Packets change hands while the places are asked one after the other; then
// they are asked again, for as long as whoever has a packet in hand may be kept
// from the processor. Only a difference that stays is one.
func (d *Distributor) Unaccounted() int64 {
	const (
		longest = 250 * time.Millisecond
		pause   = 200 * time.Microsecond
	)
	least := d.imbalance()
	for start := time.Now(); least != 0 && time.Since(start) < longest; {
		time.Sleep(pause)
		if seen := d.imbalance(); abs(seen) < abs(least) {
			least = seen
		}
	}
	return least
}

func (d *Distributor) imbalance() int64 {
	stats := d.journal.Stats()
	books := d.dispatcher.Books()
	known := books.Delivered.Messages + books.DeadLettered.Messages + books.Waiting.Messages + stats.Queued.Messages + stats.Damaged.Messages
	for _, a := range d.analyzers {
		queued, inFlight := a.Volumes()
		known += queued.Messages + inFlight.Messages
	}
	return stats.Accepted.Messages - known
}

// waiting is what is accepted and not bound to an analyzer.
func (d *Distributor) waiting() packet.Volume {
	return d.journal.Stats().Queued.Plus(d.dispatcher.Books().Waiting)
}

func abs(n int64) int64 { return max(n, -n) }
