package deadletter

import (
	"maps"
	"time"

	"github.com/logstreamer/logstreamer/internal/printable"
)

// quietPeriod is the time without dead letters after which a series ends.
const quietPeriod = time.Minute

// maxLoggedDetail is the length in bytes to which logs shorten a detail.
const maxLoggedDetail = 200

// series is a sequence of dead letters with one cause at intervals below
// quietPeriod.
type series struct {
	last       time.Time
	suppressed int // not logged
}

// logFirstLocked logs the first entry of a series, not each packet of an emitter
// that sends invalid ones. The number of series is at most analyzers times reasons.
func (s *Store) logFirstLocked(e Entry, now time.Time) {
	c := cause{e.Analyzer, e.Reason}
	if !s.metrics.counts(c) {
		c = cause{} // one series for all causes without a counter
	}
	current := s.series[c]
	if current == nil {
		maps.DeleteFunc(s.series, func(c cause, _ *series) bool { return !s.metrics.counts(c) }) // of removed analyzers
		current = new(series)
		s.series[c] = current
	}
	if now.Sub(current.last) < quietPeriod {
		current.last = now
		current.suppressed++
		return
	}
	s.logger.Warn("a packet has become a dead letter: it is stored and not delivered; further ones for this reason are only counted until there was none for a minute",
		append(attributes(e), "detail", printable.Shorten(e.Detail, maxLoggedDetail), "stored_in", s.config.Dir, "suppressed", current.suppressed)...)
	*current = series{last: now}
}

// attributes returns the log attributes of an entry.
func attributes(e Entry) []any {
	p := e.Packet
	return []any{
		"emitter_id", string(p.EmitterID.AppendDecoded(nil, p.Body)), "packet_id", string(p.PacketID.AppendDecoded(nil, p.Body)),
		"analyzer", e.Analyzer, "reason", e.Reason,
	}
}
