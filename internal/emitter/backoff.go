package emitter

import (
	"net/http"
	"strconv"
	"time"
)

const (
	// backoffBase and backoffCap bound the wait before a retry without jitter.
	backoffBase = 50 * time.Millisecond
	backoffCap  = 5 * time.Second
	// longestRetryAfter is how far a target's Retry-After is believed.
	longestRetryAfter = 60 * time.Second
)

// backoff returns how long to wait before the retry that follows failures
// failures of a packet. It is exponential with full jitter, random being in
// [0, 1), and comes on top of what the target asked for, so that those who
// were sent away together do not return together.
func backoff(failures int, retryAfter time.Duration, random float64) time.Duration {
	ceiling := backoffCap
	if doublings := failures - 1; doublings < 10 {
		ceiling = min(backoffCap, backoffBase<<max(0, doublings))
	}
	return retryAfter + time.Duration(random*float64(ceiling))
}

// parseRetryAfter reads a Retry-After header: seconds or an HTTP date. It
// returns 0 for none, for one in the past and for one it cannot read.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, longestRetryAfter.Seconds()) * float64(time.Second))
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(0, date.Sub(now)), longestRetryAfter)
}
