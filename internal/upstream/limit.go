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
	handled atomic.Int64 // packets taken, or refused for good, since the last adapt

	least, most int64
	// The rest belongs to adapt. pace is the number of packets handled in a
	// tick: it follows a rise at once and a fall slowly.
	pace float64
	// behind is how many ticks in a row more than a second's worth was bound.
	behind int
}

// An analyzer is slow when it is behind for half a second: a burst that has
// just begun, or a moment without processor time, is no slowness.
const (
	ticksPerSecond = int(time.Second / TickInterval)
	ticksOfGrace   = ticksPerSecond / 2
)

func (l *limit) init(config Config) {
	l.most = int64(config.QueuePackets)
	l.least = min(l.most, int64(2*config.Concurrency))
	l.packets.Store(min(l.most, 1024))
}

func (l *limit) now() int { return int(l.packets.Load()) }

// adapt is called every TickInterval with the packets that are bound now. It
// reports when there is far too much, and how many packets to keep.
func (l *limit) adapt(bound int64) (keep int64, tooMuch bool) {
	handled := float64(l.handled.Swap(0))
	l.pace = max(handled, 0.8*l.pace+0.2*handled)
	second := max(l.least, min(l.most, int64(l.pace*float64(ticksPerSecond))))
	if bound <= second {
		l.behind = 0
		limit := l.packets.Load()
		if bound <= second/4 { // it keeps up: how fast it could be is not known
			limit *= 2
		}
		l.packets.Store(min(l.most, max(second, limit)))
		return 0, false
	}
	if l.behind++; l.behind <= ticksOfGrace {
		return 0, false
	}
	l.packets.Store(second)
	return second, bound > 2*second
}
