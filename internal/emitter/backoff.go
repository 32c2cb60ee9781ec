package emitter

import (
	"net/http"
	"strconv"
	"time"
)

const (
	// backoffBase and backoffCap bound the backoff before jitter.
	backoffBase = 50 * time.Millisecond
	backoffCap  = 5 * time.Second
	// maxRetryAfter caps the Retry-After that is honoured.
	maxRetryAfter = 60 * time.Second
)

// backoff returns the delay before the retry that follows the given number of
// failures: retryAfter plus exponential backoff with full jitter, so that
// clients rejected at the same time do not retry at the same time. random is in
// [0, 1).
func backoff(failures int, retryAfter time.Duration, random float64) time.Duration {
	ceiling := backoffCap
	if doublings := failures - 1; doublings < 10 {
		ceiling = min(backoffCap, backoffBase<<max(0, doublings))
	}
	return retryAfter + time.Duration(random*float64(ceiling))
}

// parseRetryAfter parses a Retry-After header: seconds or an HTTP date. It
// returns 0 for a header that is empty, in the past or malformed.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(0, date.Sub(now)), maxRetryAfter)
}
