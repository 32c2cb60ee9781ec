package jetstream

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// stall is a time in which no stream has stored packets, although some were on their way.
type stall struct {
	since time.Time // zero while there is no stall
	alive time.Time // the latest sign of life of a server
}

// waits reports whether packets wait for the end of the stall, and until when at least.
func (s stall) waits(now time.Time) (until time.Time, waits bool) {
	until = earlier(s.since.Add(electionTimeout), later(s.since, s.alive).Add(deadAfter))
	return until, now.Before(until)
}

// stalledLocked reports whether no stream stores packets. A stream that is doubtful or full counts as
// one that stores, unless the doubtful one could prove it by packets that are on their way.
func (j *Journal) stalledLocked() bool {
	idle := j.isIdleLocked()
	return j.lost != nil || !slices.ContainsFunc(j.partitions, func(p *partition) bool {
		return p.publishes && p.answers() && (idle || p.standing == storing || p.full)
	})
}

// isIdleLocked reports whether no packets are on their way.
func (j *Journal) isIdleLocked() bool { return len(j.pending)+len(j.published) == 0 }

// answeringLocked returns the number of streams that can be published to.
func (j *Journal) answeringLocked() (answering int) {
	for _, p := range j.partitions {
		if p.publishes && p.answers() && j.lost == nil {
			answering++
		}
	}
	return answering
}

// writableLocked returns the number of streams that acknowledge, as far as known: none while an
// unwritable journal is tried.
func (j *Journal) writableLocked() int {
	if j.unwritable != nil && j.stalledLocked() {
		return 0
	}
	return j.answeringLocked()
}

// mayTryLocked reports whether an unwritable journal takes a request, to find out whether a stream
// stores again: one at a time for each stream.
func (j *Journal) mayTryLocked() bool {
	return j.lost == nil && len(j.pending) == 0 && slices.ContainsFunc(j.partitions, func(p *partition) bool {
		return p.usable() && p.inFlight == 0
	})
}

// updateWritableLocked makes the journal unwritable while no stream stores packets, except during the
// election of leaders, and returns the requests to be refused. The journal is writable again when a
// stream has stored an envelope.
func (j *Journal) updateWritableLocked() (refused []*request) {
	answered := j.answeringLocked() > 0
	stalled := j.stalledLocked()
	if !stalled && j.isIdleLocked() {
		j.stall.since = time.Time{}
	}
	switch {
	case j.unwritable == nil && stalled && !j.waitsLocked():
		cause := j.causeLocked()
		j.logger.Error("no stream can be written: new packets are refused, until one answers", "error", cause)
		j.unwritable = fmt.Errorf("%w: %w", journal.ErrUnwritable, cause)
		return j.refusePendingLocked(j.unwritable)
	case j.unwritable != nil && answered && !j.opened:
		j.unwritable = nil
	case j.unwritable != nil:
		j.unwritable = fmt.Errorf("%w: %w", journal.ErrUnwritable, j.causeLocked())
		if !answered {
			return j.refusePendingLocked(j.unwritable)
		}
	}
	if j.fullLocked() {
		return j.refusePendingLocked(journal.ErrFull)
	}
	return nil
}

// acknowledgedLocked records that a stream has acknowledged an envelope, so that the journal is writable.
func (j *Journal) acknowledgedLocked(p *partition, now time.Time) {
	p.stored(now)
	j.stall.since = time.Time{}
	if j.unwritable != nil {
		j.unwritable = nil
		j.logger.Info("the streams take packets again")
	}
}

// waitsLocked reports whether packets wait for the election of leaders, which changes no settings,
// and after which no stream refuses.
func (j *Journal) waitsLocked() bool {
	if j.lost != nil || !slices.ContainsFunc(j.partitions, func(p *partition) bool { return p.publishes && p.unsafe == nil && p.standing != refusing }) {
		return false
	}
	now := time.Now()
	if j.stall.since.IsZero() {
		j.stall = stall{since: now, alive: now}
		j.watching.Wake()
	}
	_, waits := j.stall.waits(now)
	return waits
}

// causeLocked returns the reason why no stream can be written.
func (j *Journal) causeLocked() error {
	var settings, answers error
	for _, p := range j.partitions {
		if p.publishes {
			settings, answers = cmp.Or(settings, p.unsafe), cmp.Or(answers, p.cause)
		}
	}
	if settings != nil && answers != nil {
		settings = fmt.Errorf("%w; %w", answers, settings)
	}
	return cmp.Or(j.lost, settings, answers, j.setupErr, errNotReady)
}
