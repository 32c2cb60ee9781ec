package jetstream

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// newStreams returns a journal with streams that answer requests, and without a server.
func newStreams(count int) *Journal {
	j := newJournal(Config{Partitions: count}, Dependencies{Logger: slog.New(slog.DiscardHandler)})
	j.opened, j.unwritable = true, nil
	for _, p := range j.partitions {
		p.ready, p.answered = true, time.Now()
		p.state = streamState{replicas: 1, current: 1, at: time.Now()}
	}
	return j
}

// tryStream publishes to a stream that answers and stores nothing, as with a full disk, again and
// again: the stream is silent after silentAfter, and each publication ends after publishTimeout.
func tryStream(j *Journal, p *partition, begun time.Time) {
	switch o := j.published[uint64(p.index)]; {
	case o == nil:
		j.published[uint64(p.index)] = &publication{partition: p, begun: begun}
		p.inFlight = 1
	case time.Since(o.begun) >= j.publishTimeout:
		delete(j.published, uint64(p.index))
		p.inFlight, p.silent = 0, false // the stream answered the watcher
	case time.Since(o.begun) >= silentAfter:
		p.silent, p.doubtful = true, true
	}
	j.updateWritableLocked()
}

// Streams that are tried in turn, none of which stores, make the journal unwritable although one of
// them is always about to be tried.
func TestStreamsAreTriedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newStreams(3)
		begun := time.Now()
		for j.unwritable == nil && time.Since(begun) < time.Minute {
			for i, p := range j.partitions {
				if time.Since(begun) >= time.Duration(i)*publishTimeout/3 {
					tryStream(j, p, time.Now())
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if !errors.Is(j.unwritable, journal.ErrUnwritable) {
			t.Fatal("the journal is writable after a minute in which nothing was stored")
		}
		j.partitions[0].stored(time.Now())
		j.unwritable = nil // as onPubAck does
		j.updateWritableLocked()
		if j.unwritable != nil || !j.stall.since.IsZero() {
			t.Errorf("a stream has stored a packet: %v, stalled since %v", j.unwritable, j.stall.since)
		}
	})
}

// A stream that was silent is not doubted for as long as nothing is published.
func TestStreamWithoutPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newStreams(1)
		j.partitions[0].doubtful = true
		for range 60 {
			j.updateWritableLocked()
			time.Sleep(time.Second)
		}
		if j.unwritable != nil {
			t.Error(j.unwritable)
		}
	})
}
