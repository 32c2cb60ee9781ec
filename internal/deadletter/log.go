package deadletter

import (
	"strings"
	"time"
)

// quiet is how long no packet must have ended for one reason at one analyzer for the
// next one to be logged again.
const quiet = time.Minute

// series is dead letters of one cause that follow each other within quiet.
type series struct {
	latest   time.Time
	unlogged int // after the first, which was logged
}

// tellLocked logs the first letter of a series: once for each transition, and not for
// each packet of an emitter that sends nothing else. There are as many series as there
// are analyzers times reasons.
func (l *Letters) tellLocked(letter Letter, now time.Time) {
	c := cause{letter.Analyzer, letter.Reason}
	if _, known := l.metrics.packets[c]; !known {
		c = cause{} // no more than one series of what has no counter
	}
	s := l.told[c]
	if s == nil {
		s = new(series)
		l.told[c] = s
	}
	if since := now.Sub(s.latest); since < quiet {
		s.latest = now
		s.unlogged++
		return
	}
	l.logger.Warn("a packet has become a dead letter: it is kept and not delivered; further ones for this reason are only counted until there was none for a minute",
		append(describe(letter), "detail", shortened(letter.Detail), "kept_in", l.config.Dir, "not_logged_before", s.unlogged)...)
	*s = series{latest: now}
}

// describe names a letter for the log.
func describe(letter Letter) []any {
	p := letter.Packet
	return []any{
		"emitter_id", string(p.EmitterID.AppendDecoded(nil, p.Body)), "packet_id", string(p.PacketID.AppendDecoded(nil, p.Body)),
		"analyzer", letter.Analyzer, "reason", letter.Reason,
	}
}

func shortened(text string) string {
	const longest = 200
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
