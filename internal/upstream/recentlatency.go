package upstream

import (
	"math"
	"time"
)

// A bucket is a range of floating-point numbers with the same exponent and the same first
// bits of the mantissa, so that no logarithm is needed.
const (
	minLatency         = 10e-6 // seconds, in the first bucket
	mantissaBits       = 3     // errors of at most 12.5 %
	bucketShift        = 52 - mantissaBits
	bucketsPerDoubling = 1 << mantissaBits
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
	at := int64(math.Float64bits(max(seconds, minLatency))>>bucketShift) - firstBucket
	l.current[min(at, latencyBuckets-1)]++
}

// firstBucket is the number of the first bucket among all floating-point numbers.
var firstBucket = int64(math.Float64bits(minLatency) >> bucketShift)

// upperBound returns the upper bound of a bucket in seconds.
func upperBound(bucket int) float64 {
	return math.Float64frombits(uint64(firstBucket+int64(bucket)+1) << bucketShift)
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
			return time.Duration(upperBound(i) * float64(time.Second))
		}
	}
	return 0 // does not happen: q is at most 1
}
