package upstream

import (
	"sync/atomic"
	"time"
)

// TickInterval is how often limits are adapted.
const TickInterval = 100 * time.Millisecond

// limit bounds how many packets are bound to an analyzer: about what it has
// shown to deliver in a second, so that a slow one holds few, and never more
// than is configured.
type limit struct {
	packets atomic.Int64
	settled atomic.Int64 // packets taken, or refused for good, since the last adapt

	min, max int64
	// The rest belongs to adapt. pace is the number of packets handled in a
	// tick: it follows a rise at once and a fall slowly.
	rate float64
	// behind is how many ticks in a row more than a second's worth was bound.
	ticksOver int
}

// An analyzer is slow when it is behind for half a second: a burst that has
// just begun, or a moment without processor time, is no slowness.
const (
	ticksPerSecond = int(time.Second / TickInterval)
	graceTicks     = ticksPerSecond / 2
)

func (l *limit) init(config Config) {
	l.max = int64(config.QueuePackets)
	l.min = min(l.max, int64(2*config.Concurrency))
	l.packets.Store(min(l.max, 1024))
}

func (l *limit) now() int { return int(l.packets.Load()) }

// adapt is called every TickInterval with the packets that are bound now. It
// reports when there is far too much, and how many packets to keep.
func (l *limit) adapt(bound int64) (keep int64, excess bool) {
	settled := float64(l.settled.Swap(0))
	l.rate = max(settled, 0.8*l.rate+0.2*settled)
	second := max(l.min, min(l.max, int64(l.rate*float64(ticksPerSecond))))
	if bound <= second {
		l.ticksOver = 0
		limit := l.packets.Load()
		if bound <= second/4 { // it keeps up: how fast it could be is not known
			limit *= 2
		}
		l.packets.Store(min(l.max, max(second, limit)))
		return 0, false
	}
	if l.ticksOver++; l.ticksOver <= graceTicks {
		return 0, false
	}
	l.packets.Store(second)
	return second, bound > 2*second
}
