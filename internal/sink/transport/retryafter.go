package transport

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// The pause after a throttled request; defaultPause without a Retry-After.
const (
	minPause     = 100 * time.Millisecond
	defaultPause = time.Second
	maxPause     = time.Minute
)

// RetryAfter parses both forms of a Retry-After, bounded to a minute, and reports whether
// there is one; else the pause is a default. It may be called concurrently.
func RetryAfter(value string, now time.Time) (pause time.Duration, ok bool) {
	if value == "" {
		return defaultPause, false
	}
	pause = defaultPause
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(seconds) {
		pause = time.Duration(min(max(seconds, 0), maxPause.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, minPause), maxPause), true
}
