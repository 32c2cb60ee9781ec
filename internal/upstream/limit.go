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
	packets   atomic.Int64
	delivered atomic.Int64 // since the last adapt

	least, most int64
	// pace is the number of packets delivered in a tick: it follows a rise at
	// once and a fall slowly, so that a short pause is not taken for slowness.
	// Only adapt uses it.
	pace float64
}

func (l *limit) init(config Config) {
	l.most = int64(config.QueuePackets)
	l.least = min(l.most, int64(2*config.Concurrency))
	l.packets.Store(min(l.most, 1024))
}

func (l *limit) now() int { return int(l.packets.Load()) }

// adapt is called every TickInterval with the packets that are bound now. It
// reports when there is far too much, and how many packets to keep.
func (l *limit) adapt(bound int64) (keep int64, tooMuch bool) {
	const ticks = int64(time.Second / TickInterval)
	delivered := float64(l.delivered.Swap(0))
	l.pace = max(delivered, 0.8*l.pace+0.2*delivered)
	second := max(l.least, min(l.most, int64(l.pace)*ticks))
	if bound > second {
		l.packets.Store(second)
		return second, bound > 2*second
	}
	l.packets.Store(min(l.most, max(second, 2*l.packets.Load())))
	return 0, false
}
