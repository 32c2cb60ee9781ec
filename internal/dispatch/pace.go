package dispatch

import (
	"math"
	"sync/atomic"
	"time"

	"logstreamer/internal/upstream"
)

// pace is how fast packets leave, smoothed over about a second. measure is
// called every upstream.TickInterval; the rest may be called concurrently.
type pace struct {
	last      int64
	perSecond atomic.Uint64 // math.Float64bits
}

func (p *pace) measure(settled int64) {
	const weight = 0.1
	now := float64(settled-p.last) * float64(time.Second/upstream.TickInterval)
	p.last = settled
	before := math.Float64frombits(p.perSecond.Load())
	p.perSecond.Store(math.Float64bits((1-weight)*before + weight*now))
}

// DrainTime estimates how long it takes until that many packets have left, at most
// a minute.
func (d *Dispatcher) DrainTime(packets int64) time.Duration {
	const longest = time.Minute
	if packets <= 0 {
		return 0
	}
	perSecond := math.Float64frombits(d.pace.perSecond.Load())
	if seconds := float64(packets) / perSecond; seconds < longest.Seconds() {
		return time.Duration(seconds * float64(time.Second))
	}
	return longest
}
