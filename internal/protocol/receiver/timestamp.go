package receiver

import (
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// A timestamp outside of these bounds around the arrival is counted as skewed.
const (
	maxFuture = 24 * time.Hour
	maxPast   = 7 * 24 * time.Hour
)

// Begin starts a message of a record with a timestamp in nanoseconds since 1970, or 0 for
// none. What milliseconds do not express is kept as time_unix_nano. A record without a usable
// timestamp gets that of its arrival.
func (r *Receiver) Begin(m *record.Message, nanoseconds int64, arrival time.Time) {
	milliseconds, now := floorMilliseconds(nanoseconds), arrival.UnixMilli()
	if milliseconds <= 0 {
		m.Begin(now)
	} else {
		m.Begin(milliseconds)
		if milliseconds > now+maxFuture.Milliseconds() || milliseconds < now-maxPast.Milliseconds() {
			r.CountSkewed()
		}
	}
	if milliseconds <= 0 || nanoseconds%int64(time.Millisecond) != 0 {
		var digits [20]byte
		m.Set("time_unix_nano", strconv.AppendInt(digits[:0], nanoseconds, 10))
	}
}

func floorMilliseconds(nanoseconds int64) int64 {
	milliseconds := nanoseconds / int64(time.Millisecond)
	if nanoseconds%int64(time.Millisecond) < 0 {
		milliseconds--
	}
	return milliseconds
}
