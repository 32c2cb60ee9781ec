package dispatch

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// pace is how fast packets leave when there are enough of them. measure is
// called every upstream.TickInterval; the rest may be called concurrently.
type pace struct {
	last      int64
	waited    bool          // packets waited for room when it was last measured
	perSecond atomic.Uint64 // math.Float64bits; 0: nothing is known
}

// measure takes note of how many packets have left. Packets that leave slowly
// because few came tell nothing: the pace goes down only for a whole interval in
// which others waited for room.
func (p *pace) measure(settled int64, waiting bool) {
	const (
		up, down = 0.5, 0.1
		least    = 0.01 // packets a second, so that a standstill is not nothing known
	)
	now := float64(settled-p.last) * float64(time.Second/upstream.TickInterval)
	busy := waiting && p.waited
	p.last, p.waited = settled, waiting
	before := math.Float64frombits(p.perSecond.Load())
	switch {
	case before == 0 && busy:
		before = now
	case before > 0 && now > before:
		before += up * (now - before)
	case before > 0 && busy:
		before += down * (now - before)
	default:
		return
	}
	p.perSecond.Store(math.Float64bits(max(before, least)))
}

// DrainTime estimates how long it takes until that many packets have left, at most
// a minute.
func (d *Dispatcher) DrainTime(packets int64) time.Duration {
	const (
		longest = time.Minute
		unknown = time.Second
	)
	if packets <= 0 {
		return 0
	}
	perSecond := math.Float64frombits(d.pace.perSecond.Load())
	if perSecond == 0 {
		return unknown
	}
	if seconds := float64(packets) / perSecond; seconds < longest.Seconds() {
		return time.Duration(seconds * float64(time.Second))
	}
	return longest
}
