package jetstream

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// All running distributors deliver packets that others store in streams beyond
// JETSTREAM_PARTITIONS.
func testFurtherPartitions(t *testing.T, c Config) {
	c.Partitions = 1
	a := open(t, c)
	put(t, a, 0, 1)
	a.Ack(get(t, a, 1))
	c.Partitions = 3
	b := open(t, c)
	for i := range 9 {
		put(t, b, i, 1)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	taken := get(t, a, 9)
	if got := ids(taken); !slices.Equal(got, upTo(9)) {
		t.Errorf("got %v", got)
	}
	a.Ack(taken)
	until(t, "the streams are empty", func() bool { return stored(t, a) == 0 })
}

// When a stream is deleted while packets of it are claimed, it is created again, and takes packets.
// The claimed packets are delivered, and their acknowledgements do not apply to new packets with
// the same numbers.
func testStreamDeleted(t *testing.T, c Config) {
	j := open(t, c)
	put(t, j, 0, 10)
	fetched := get(t, j, 5)
	stream := j.partitions[0].stream
	if err := j.link.JetStream.DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	created := j.creation()
	until(t, "the stream is created again", func() bool { return j.creation() != created && j.CheckCapacity(100) == nil })
	put(t, j, 10, 10)
	j.Ack(fetched)
	rest := get(t, j, 15)
	if got := ids(rest); !slices.Equal(got, upTo(20)[5:]) {
		t.Errorf("got %v", got)
	}
	j.Ack(rest[:5]) // of the old stream
	until(t, "acknowledgements are sent", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.acks) == 0
	})
	if err := j.link.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, j); n != 1 {
		t.Errorf("the new stream has %d envelopes, not the one that is not acknowledged", n)
	}
	j.Ack(rest[5:])
	until(t, "the stream is empty", func() bool { return stored(t, j) == 0 })
}

// creation returns the time at which the stream of the first partition was created, if it is known.
func (j *Journal) creation() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.partitions[0].created
}

// Packets of a deleted stream that are not fetched yet are stored again when they are returned.
func TestOrphansAreStoredAgain(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	c := testConfig(server.URL(), server.Monitor())
	a := open(t, c)
	put(t, a, 0, 10)
	get(t, a, 0)
	until(t, "all is received", func() bool { journaltest.Fetch(a, nil, 0); return a.Stats().Queued.Packets == 10 })
	if err := a.link.JetStream.DeleteStream(t.Context(), a.partitions[0].stream); err != nil {
		t.Fatal(err)
	}
	created := a.creation()
	until(t, "the stream is created again", func() bool {
		journaltest.Fetch(a, nil, 0)
		return a.creation() != created && a.CheckCapacity(100) == nil
	})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b := open(t, c)
	taken := get(t, b, 10)
	if got := ids(taken); !slices.Equal(got, upTo(10)) {
		t.Errorf("got %v", got)
	}
	b.Ack(taken)
	until(t, "the stream is empty", func() bool { return stored(t, b) == 0 })
}

// Without its consumer nothing can be received, so that the consumer is created again.
func testConsumerDeleted(t *testing.T, c Config) {
	j := open(t, c)
	put(t, j, 0, 5)
	j.Ack(get(t, j, 5))
	if err := j.link.JetStream.DeleteConsumer(t.Context(), j.partitions[0].stream, durable); err != nil {
		t.Fatal(err)
	}
	put(t, j, 5, 5)
	taken := get(t, j, 5)
	if got := ids(taken); !slices.Equal(got, upTo(10)[5:]) {
		t.Errorf("got %v", got)
	}
	j.Ack(taken)
	until(t, "the stream is empty", func() bool { return stored(t, j) == 0 })
}

// A stream whose settings would lose packets gets no packets; the packets in it are delivered.
func testStreamChanged(t *testing.T, c Config) {
	j := open(t, c)
	put(t, j, 0, 5)
	safe := c.streamConfig(0)
	unsafe := safe
	unsafe.MaxAge = time.Hour
	if _, err := j.link.JetStream.UpdateStream(t.Context(), unsafe); err != nil {
		t.Fatal(err)
	}
	var refusal error
	until(t, "packets are refused", func() bool { refusal = j.CheckCapacity(100); return refusal != nil })
	if !errors.Is(refusal, journal.ErrUnwritable) || !strings.Contains(refusal.Error(), "maximum age") {
		t.Errorf("%v", refusal)
	}
	j.Ack(get(t, j, 5))
	if _, err := j.link.JetStream.UpdateStream(t.Context(), safe); err != nil {
		t.Fatal(err)
	}
	until(t, "packets are taken", func() bool { return j.CheckCapacity(100) == nil })
	put(t, j, 5, 1)
	j.Ack(get(t, j, 1))
}
