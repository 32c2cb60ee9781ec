package emitter

import (
	"math"
	"time"
)

// Pacer is an open-loop schedule: packet n is due n/Rate seconds after the
// start, independently of earlier packets. It has no state.
type Pacer struct {
	// Rate is in packets per second; at 0 or less every packet is due at once.
	Rate float64
}

// due returns when the packet after sent others is due, relative to the start.
func (p Pacer) due(sent int64) time.Duration {
	if p.Rate <= 0 || sent <= 0 {
		return 0
	}
	nanoseconds := float64(sent) / p.Rate * float64(time.Second)
	if nanoseconds >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanoseconds)
}

// Pace returns the time until the next packet is due, after sent packets and
// elapsed since the start; 0 when the packet is due or late.
func (p Pacer) Pace(elapsed time.Duration, sent int64) time.Duration {
	return max(0, p.due(sent)-elapsed)
}
