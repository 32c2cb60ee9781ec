package record

import "time"

// Records with timestamps beyond these bounds are counted: the clocks of their senders, or their
// time zones, are probably wrong.
const (
	maxFuture = 24 * time.Hour
	maxPast   = 7 * 24 * time.Hour
)

// IsSkewed reports whether a timestamp, in milliseconds since 1970, is more than a day in the
// future or a week in the past.
func IsSkewed(timestamp int64, now time.Time) bool {
	ahead := timestamp - now.UnixMilli()
	return ahead > maxFuture.Milliseconds() || -ahead > maxPast.Milliseconds()
}
