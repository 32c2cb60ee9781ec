package jetstream

import (
	"fmt"
	"time"

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
	// answered is when the stream answered the latest publication, or got the first one after that.
	answered time.Time
	standing standing
	cause    error // why the standing is not storing, nil if that is not known
	full     bool  // the stream has refused an envelope for lack of capacity
	state    streamState
}

// standing is what the answers to publications say about a stream.
type standing int

const (
	storing standing = iota
	// silent: the stream has not answered for silentAfter, so that it gets no envelopes.
	silent
	// refusing: the stream could not store the latest envelope, and gets none for trialAfter.
	refusing
	// doubtful: the stream was silent or refusing, and has not stored an envelope since. One at a
	// time is tried.
	doubtful
)

// streamState is the last known state of the stream.
type streamState struct {
	bytes, limit, messages int64
	first                  time.Time // when the oldest message was stored
	replicas, current      int       // servers that keep the stream, and those that are up to date
	leads                  bool      // the stream has a leader
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

// usable reports whether envelopes may be published to the stream.
func (p *partition) usable() bool {
	return p.publishes && p.answers() && !p.full && (p.standing == storing || p.inFlight == 0)
}

// answers reports whether the stream acknowledges envelopes, or refuses them because it is full.
func (p *partition) answers() bool {
	return p.ready && p.unsafe == nil && (p.standing == storing || p.standing == doubtful)
}

// expect records that an envelope is published to the stream.
func (p *partition) expect(now time.Time) {
	if p.inFlight == 0 {
		p.answered = now
	}
	p.inFlight++
}

// stored records that the stream has acknowledged an envelope.
func (p *partition) stored(now time.Time) { p.answered, p.standing, p.cause = now, storing, nil }

// refuse records that the stream could not store an envelope.
func (p *partition) refuse(now time.Time, cause error) {
	p.answered, p.standing, p.cause = now, refusing, cause
}

// checkSilence records whether the stream is silent, and returns when it may be.
func (p *partition) checkSilence(now time.Time) (next time.Time, pending bool) {
	if p.inFlight == 0 || p.standing == silent {
		return time.Time{}, false
	}
	next = p.answered.Add(silentAfter)
	if pending = next.After(now); pending {
		return next, true
	}
	if p.standing != doubtful || p.cause == nil { // or the next request for its state says more
		p.cause = p.silence()
	}
	p.standing = silent
	return time.Time{}, false
}

func (p *partition) silence() error { return fmt.Errorf("the stream %s does not answer", p.stream) }

// responded records that the stream has responded to a request for its state, and reports whether
// it should have answered an envelope, too.
func (p *partition) responded(now time.Time) (overdue bool) {
	switch {
	case p.standing == refusing && now.Sub(p.answered) > trialAfter:
		p.standing = doubtful
	case p.standing != silent || !p.state.hasQuorum():
	case p.inFlight == 0:
		p.standing = doubtful
	default:
		if now.Sub(p.answered) > silentAfter {
			p.cause = fmt.Errorf("the stream %s answers, but stores nothing: NATS servers whose disk was full must be restarted", p.stream)
		}
		return true
	}
	return false
}

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
	return full && j.lost == nil
}

func (j *Journal) streamBytesLocked() (bytes, limit int64) {
	for _, p := range j.partitions {
		if p.publishes {
			bytes, limit = bytes+p.state.bytes, limit+p.state.limit
		}
	}
	return bytes, limit
}
