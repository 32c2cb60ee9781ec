package jetstream

import (
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// partition is a stream with what this process has on the way to it and from it.
type partition struct {
	index     int
	stream    string
	subject   string
	publishes bool // false: the stream is one of an earlier, larger number of partitions
	receiving *loop

	// Journal.mu guards the fields below.
	ready    bool          // the stream and its consumer were checked
	ackWait  time.Duration // for which claims last that are not extended
	inFlight int           // publications without a PubAck
	answered time.Time
	silent   bool  // publications get no PubAck: it is taken out
	full     bool  // the stream has refused an envelope for lack of room
	fault    error // the last refusal that was not for lack of room
	state    streamState
}

// streamState is what the stream said of itself last.
type streamState struct {
	bytes, limit, messages int64
	first                  time.Time // when the oldest message was stored
	replicas, current      int       // servers that keep it, and that are up to date
}

const (
	// window is the maximum of envelopes that are on their way to a stream.
	window = 6
	// silentAfter is for how long publications may have no PubAck before the stream is
	// taken out.
	silentAfter = time.Second
	// electionTimeout is for how long packets wait while no stream answers and the servers do:
	// longer than it takes to elect leaders. They end after deadAfter without a sign of life of
	// the servers, in which the connection to one that stands still is given up.
	electionTimeout = 9 * time.Second
	// deadAfter is for how long servers may give no sign of life meanwhile.
	deadAfter = 6 * time.Second
)

// stall is a time in which no stream can be published to.
type stall struct {
	since time.Time // zero while one can
	alive time.Time // the last sign of life of a server
}

// waits reports whether packets wait for the end of the stall, and until when at least.
func (s stall) waits(now time.Time) (until time.Time, waits bool) {
	until = earlier(s.since.Add(electionTimeout), later(s.since, s.alive).Add(deadAfter))
	return until, now.Before(until)
}

// usable reports whether envelopes may be published to the stream.
func (p *partition) usable() bool { return p.publishes && p.ready && !p.silent && !p.full }

// fullLocked reports whether every stream that answers is full.
func (j *Journal) fullLocked() bool {
	full := false
	for _, p := range j.partitions {
		if p.publishes && p.ready && !p.silent {
			if !p.full {
				return false
			}
			full = true
		}
	}
	return full
}

func (j *Journal) streamBytesLocked() (bytes, limit int64) {
	for _, p := range j.partitions {
		if p.publishes {
			bytes, limit = bytes+p.state.bytes, limit+p.state.limit
		}
	}
	return bytes, limit
}

// writableLocked returns how many streams can be published to, and of how many.
func (j *Journal) writableLocked() (writable, all int) {
	for _, p := range j.partitions {
		if p.publishes {
			all++
			if p.ready && !p.silent {
				writable++
			}
		}
	}
	if j.lost != nil {
		writable = 0
	}
	return writable, all
}

// updateWritableLocked makes the journal unwritable while no stream can be published to, except
// for as long as leaders may be elected, and logs each change. It returns the requests to be
// refused.
func (j *Journal) updateWritableLocked() (refused []*request) {
	writable, _ := j.writableLocked()
	if writable > 0 {
		if j.unwritable != nil && j.opened {
			j.logger.Info("the streams take packets again")
		}
		j.unwritable, j.stall.since = nil, time.Time{}
		return nil
	}
	if j.unwritable == nil && j.lost == nil && j.waitsLocked() {
		return nil
	}
	if j.unwritable == nil {
		j.logger.Error("no stream can be written: new packets are refused, until one answers", "error", j.causeLocked())
	}
	j.unwritable = fmt.Errorf("%w: %w", journal.ErrUnwritable, j.causeLocked())
	return j.refusePendingLocked(j.unwritable)
}

// waitsLocked reports whether packets wait for the election of leaders.
func (j *Journal) waitsLocked() bool {
	now := time.Now()
	if j.stall.since.IsZero() {
		j.stall = stall{since: now, alive: now}
		j.watching.wake()
	}
	_, waits := j.stall.waits(now)
	return waits
}

// causeLocked says why no stream can be written.
func (j *Journal) causeLocked() error {
	if j.lost != nil {
		return j.lost
	}
	for _, p := range j.partitions {
		if p.fault != nil {
			return p.fault
		}
	}
	for _, p := range j.partitions {
		if p.silent {
			return fmt.Errorf("the stream %s does not answer", p.stream)
		}
	}
	return errNotReady
}
