package upstream

import (
	"math"
	"time"
)

const (
	minLatency         = 10e-6 // seconds, the upper bound of the first bucket
	bucketsPerDoubling = 8     // errors of less than 10 %
	latencyBuckets     = 24 * bucketsPerDoubling
	// latencyTurn is how long a generation of recentLatency lasts.
	latencyTurn = 30 * time.Second
)

// recentLatency is a histogram of the last 30 to 60 seconds, in constant memory. It must
// not be used concurrently.
type recentLatency struct {
	current, previous [latencyBuckets]uint32
	began             time.Time // of current
}

// turn starts a new generation if the current one is over.
func (l *recentLatency) turn(now time.Time) {
	switch passed := now.Sub(l.began); {
	case passed < latencyTurn:
		return
	case passed < 2*latencyTurn:
		l.previous = l.current
	default:
		l.previous = [latencyBuckets]uint32{}
	}
	l.current, l.began = [latencyBuckets]uint32{}, now
}

func (l *recentLatency) add(seconds float64) {
	at := math.Ceil(bucketsPerDoubling * math.Log2(seconds/minLatency))
	l.current[int(min(max(at, 0), latencyBuckets-1))]++
}

// quantile returns the upper bound of the bucket of a quantile, 0 without observations.
func (l *recentLatency) quantile(q float64) time.Duration {
	total := 0.0
	for i := range l.current {
		total += float64(l.current[i]) + float64(l.previous[i])
	}
	if total == 0 {
		return 0
	}
	sum := 0.0
	for i := range l.current {
		if sum += float64(l.current[i]) + float64(l.previous[i]); sum >= q*total {
			return time.Duration(minLatency * math.Exp2(float64(i)/bucketsPerDoubling) * float64(time.Second))
		}
	}
	return 0 // does not happen: q is at most 1
}
