package router

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// drainRate estimates how many packets per second are settled under load. sample
// is called every upstream.TickInterval; perSecond may be read concurrently.
type drainRate struct {
	settled   int64         // total at the last sample
	backlog   bool          // packets waited for capacity at the last sample
	perSecond atomic.Uint64 // math.Float64bits; 0: unknown
}

// sample updates the moving average. A low rate without a backlog only means that
// few packets arrived, so that the estimate decreases only after an interval with a
// backlog at both ends.
func (e *drainRate) sample(settled int64, backlog bool) {
	const (
		up, down = 0.5, 0.1
		minRate  = 0.01 // packets per second; a standstill differs from an unknown rate
	)
	current := float64(settled-e.settled) * float64(time.Second/upstream.TickInterval)
	busy := backlog && e.backlog
	e.settled, e.backlog = settled, backlog
	rate := math.Float64frombits(e.perSecond.Load())
	switch {
	case rate == 0 && busy:
		rate = current
	case rate > 0 && current > rate:
		rate += up * (current - rate)
	case rate > 0 && busy:
		rate += down * (current - rate)
	default:
		return
	}
	e.perSecond.Store(math.Float64bits(max(rate, minRate)))
}

// DrainRate returns the estimated number of packets that are settled per second under
// load; 0 is unknown. It may be called concurrently.
func (r *Router) DrainRate() float64 { return math.Float64frombits(r.drainRate.perSecond.Load()) }

// DrainTime estimates the time to settle a number of packets, at most a minute.
func (r *Router) DrainTime(packets int64) time.Duration {
	const (
		maxTime     = time.Minute
		defaultTime = time.Second
	)
	if packets <= 0 {
		return 0
	}
	perSecond := r.DrainRate()
	if perSecond == 0 {
		return defaultTime
	}
	if seconds := float64(packets) / perSecond; seconds < maxTime.Seconds() {
		return time.Duration(seconds * float64(time.Second))
	}
	return maxTime
}
