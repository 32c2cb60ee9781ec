package emitter

import (
	"math"
	"time"
)

// Pacer is an open-loop schedule: packet n is due n/rate seconds after the
// start, whatever became of the packets before it. It has no state.
type Pacer struct {
	// Rate is in packets a second; 0 or less means that everything is due at once.
	Rate float64
}

// Due returns when the packet after sent others is due, from the start.
func (p Pacer) Due(sent int64) time.Duration {
	if p.Rate <= 0 || sent <= 0 {
		return 0
	}
	nanoseconds := float64(sent) / p.Rate * float64(time.Second)
	if nanoseconds >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanoseconds)
}

// Pace returns how long to wait until the next packet is due, when elapsed has
// passed since the start and sent packets went before it; 0 when it is due or
// late.
func (p Pacer) Pace(elapsed time.Duration, sent int64) time.Duration {
	return max(0, p.Due(sent)-elapsed)
}
