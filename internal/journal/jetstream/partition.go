package jetstream

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// partition is a stream with the envelopes of this process on the way to it and from it.
type partition struct {
	index     int
	stream    string
	subject   string
	publishes bool // false: the stream belongs to a larger number of partitions, an earlier one or that of others
	receiving *worker.Worker

	// Only Open, and then the watcher, use these fields.
	receives    bool      // its receiver runs
	missing     time.Time // since when NATS reports that the stream does not exist, zero while it exists
	consumerErr string    // logged
	concerns    string    // logged

	// Journal.mu guards the fields below.
	ready   bool      // the stream and its consumer were checked
	created time.Time // when the stream was created; another stream of the name has another time
	known   bool      // the stream is the one with that time; see sendAcks
	refused bool      // the consumer refuses pulls, because it may be gone
	unsafe  error     // a setting of the stream that would lose packets
	consumerLimits
	// messageBytes is the maximum message of the stream, 0 for none.
	messageBytes int64
	inFlight     int // publications without a PubAck
	answered     time.Time
	silent       bool  // publications get no PubAck, so that the stream is not used
	doubtful     bool  // the stream was silent and has not stored a message since: one envelope at a time is tried
	full         bool  // the stream has refused an envelope for lack of capacity
	fault        error // the last refusal for another reason than capacity, nil after an acknowledgement
	// refusing is set while the stream is not tried, because it could not store a message at
	// refusedAt.
	refusing  bool
	refusedAt time.Time
	state     streamState
}

// streamState is the last known state of the stream.
type streamState struct {
	bytes, limit, messages int64
	first                  time.Time // when the oldest message was stored
	replicas, current      int       // servers that keep the stream, and those that are up to date
	at                     time.Time // when the stream reported it
}

const (
	// window is the maximum number of envelopes on their way to a stream.
	window = 6
	// silentAfter is the time without a PubAck after which a stream is no longer published to.
	silentAfter = time.Second
	// electionTimeout is the time for which packets wait while no stream answers and the servers
	// do. It exceeds the time to elect leaders. The wait ends earlier after deadAfter without a
	// sign of life of the servers, which includes the time to drop the connection to a suspended
	// server.
	electionTimeout = 9 * time.Second
	// trialAfter is the time after which a stream that could not store a message is tried again.
	trialAfter = time.Second
	// deadAfter is the maximum time without a sign of life of the servers meanwhile.
	deadAfter = 6 * time.Second
)

// stall is a time in which no stream stores packets.
type stall struct {
	since time.Time // zero while a stream stores packets
	alive time.Time // the latest sign of life of a server
}

// waits reports whether packets wait for the end of the stall, and until when at least.
func (s stall) waits(now time.Time) (until time.Time, waits bool) {
	until = earlier(s.since.Add(electionTimeout), later(s.since, s.alive).Add(deadAfter))
	return until, now.Before(until)
}

// usable reports whether envelopes may be published to the stream.
func (p *partition) usable() bool {
	return p.publishes && p.answers() && !p.full && !(p.doubtful && p.inFlight > 0)
}

// stored records that the stream has acknowledged an envelope.
func (p *partition) stored(now time.Time) {
	p.answered, p.silent, p.doubtful, p.refusing, p.fault = now, false, false, false, nil
}

// answers reports whether the stream acknowledges envelopes, or refuses them because it is full.
func (p *partition) answers() bool { return p.ready && !p.silent && p.unsafe == nil && !p.refusing }

// fullLocked reports whether every stream that answers is full.
func (j *Journal) fullLocked() bool {
	full := false
	for _, p := range j.partitions {
		if p.publishes && p.answers() {
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

// writableLocked returns the number of streams that can be published to, and the number of all
// streams.
func (j *Journal) writableLocked() (writable, all int) {
	for _, p := range j.partitions {
		if p.publishes {
			all++
			if p.answers() {
				writable++
			}
		}
	}
	if j.lost != nil {
		writable = 0
	}
	return writable, all
}

// stalledLocked reports whether no stream stores packets. A stream that was silent may be unable to
// store, as with a full disk, until it has stored a packet: it is doubted while packets are on their
// way.
func (j *Journal) stalledLocked(writable int) bool {
	if writable == 0 {
		return true
	}
	return len(j.pending)+len(j.published) > 0 && !slices.ContainsFunc(j.partitions, func(p *partition) bool {
		return p.publishes && p.answers() && (!p.doubtful || p.full)
	})
}

// updateWritableLocked makes the journal unwritable while no stream stores packets, except during the
// election of leaders, and logs each change. The journal is writable again when a stream has stored a
// packet. Until then one request at a time is tried. It returns the requests to be refused.
func (j *Journal) updateWritableLocked() (refused []*request) {
	writable, _ := j.writableLocked()
	stalled := j.stalledLocked(writable)
	if !stalled {
		j.stall.since = time.Time{}
	}
	if writable > 0 && (!stalled || j.unwritable != nil || j.waitsLocked()) {
		if !j.opened {
			j.unwritable = nil
		}
		if j.trial = j.unwritable != nil; !j.trial && j.reported {
			j.reported = false
			j.logger.Info("the streams take packets again")
		}
		return nil
	}
	j.trial = false
	if j.unwritable == nil && j.lost == nil && j.waitsLocked() {
		return nil
	}
	if j.unwritable == nil {
		j.reported = true
		j.logger.Error("no stream can be written: new packets are refused, until one answers", "error", j.causeLocked())
	}
	j.unwritable = fmt.Errorf("%w: %w", journal.ErrUnwritable, j.causeLocked())
	return j.refusePendingLocked(j.unwritable)
}

// waitsLocked reports whether packets wait for the election of leaders, during which no settings
// change.
func (j *Journal) waitsLocked() bool {
	if !slices.ContainsFunc(j.partitions, func(p *partition) bool { return p.publishes && p.unsafe == nil && !p.refusing }) {
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
	if j.lost != nil {
		return j.lost
	}
	for _, p := range j.partitions {
		if err := cmp.Or(p.unsafe, p.fault); err != nil {
			return err
		}
	}
	for _, p := range j.partitions {
		switch {
		case (p.silent || p.doubtful) && p.state.hasQuorum() && time.Since(p.state.at) < silentAfter:
			return fmt.Errorf("the stream %s answers, but stores nothing: NATS servers whose disk was full must be restarted", p.stream)
		case p.silent:
			return fmt.Errorf("the stream %s does not answer", p.stream)
		}
	}
	return errNotReady
}
