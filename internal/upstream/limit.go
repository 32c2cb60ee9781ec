package upstream

import (
	"sync/atomic"
	"time"
)

// TickInterval is the interval at which limits are adapted.
const TickInterval = 100 * time.Millisecond

// limit bounds the number of packets bound to an analyzer to about what it settles in
// a second, within a configured range, so that a slow analyzer holds few packets.
type limit struct {
	packets atomic.Int64
	settled atomic.Int64 // packets delivered or rejected since the last adapt

	// The fields below belong to adapt. rate is the number of packets settled per tick:
	// its rises are immediate, its falls smoothed (EWMA).
	rate float64
	// ticksOver counts consecutive ticks with more packets bound than rate allows.
	ticksOver int
}

// An analyzer is slow after half a second over the limit, so that the start of a burst
// or a moment without CPU time does not count.
const (
	ticksPerSecond = int(time.Second / TickInterval)
	graceTicks     = ticksPerSecond / 2
)

func (l *limit) init(config Config) {
	l.packets.Store(min(int64(config.QueuePackets), 1024))
}

func (l *limit) now() int { return int(l.packets.Load()) }

// lower lowers the limit to a new maximum.
func (l *limit) lower(highest int64) {
	for now := l.packets.Load(); now > highest && !l.packets.CompareAndSwap(now, highest); now = l.packets.Load() {
	}
}

// adapt is called every TickInterval with the number of bound packets. It reports an
// excess, and the number of packets to keep then.
func (l *limit) adapt(bound int64, config *Config) (keep int64, excess bool) {
	highest := int64(config.QueuePackets)
	lowest := min(highest, int64(2*config.Concurrency))
	settled := float64(l.settled.Swap(0))
	l.rate = max(settled, 0.8*l.rate+0.2*settled)
	second := max(lowest, min(highest, int64(l.rate*float64(ticksPerSecond))))
	if bound <= second {
		l.ticksOver = 0
		limit := l.packets.Load()
		if bound <= second/4 { // the queue is short: the maximum rate is unknown
			limit *= 2
		}
		l.packets.Store(min(highest, max(second, limit)))
		return 0, false
	}
	if l.ticksOver++; l.ticksOver <= graceTicks {
		return 0, false
	}
	l.packets.Store(second)
	return second, bound > 2*second
}

// Limit is the limit of the packets bound to an analyzer, for simulations. It must not be
// used concurrently.
type Limit struct {
	limit  limit
	config Config
}

// NewLimit returns the limit of an analyzer.
func NewLimit(config Config) *Limit {
	l := &Limit{config: config}
	l.limit.init(config)
	return l
}

// Packets returns the limit.
func (l *Limit) Packets() int { return l.limit.now() }

// Settled records packets that were delivered or rejected.
func (l *Limit) Settled(packets int) { l.limit.settled.Add(int64(packets)) }

// Adapt adapts the limit every TickInterval, with the number of bound packets. It reports
// an excess, and the number of packets to keep then.
func (l *Limit) Adapt(bound int) (keep int, excess bool) {
	n, excess := l.limit.adapt(int64(bound), &l.config)
	return int(n), excess
}
