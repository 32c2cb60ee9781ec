package jetstream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// Envelopes on their way to a distributor that stops are delivered by another one at once.
func testStopWhileReceiving(t *testing.T, c Config) {
	a, b := openLasting(t, c), open(t, c)
	r, subscription := replaceReceiver(t, a)
	const envelopes = 10
	for i := range envelopes {
		publishRaw(t, b, envelopeOf(t, fmt.Sprintf("other-0-%d", i), 5))
	}
	r.begin()
	until(t, "all are on their way", func() bool {
		consumer, err := b.link.JetStream.Consumer(t.Context(), c.streamOf(0), durable)
		return err == nil && consumer.CachedInfo().NumAckPending == envelopes
	})
	a.Release()
	r.leave(subscription)
	takeOver(t, b, envelopes*5)
}

// replaceReceiver ends the receiver of a journal's stream, which could receive in place of a test,
// and returns another one, whose messages the test handles.
func replaceReceiver(t *testing.T, j *Journal) (*receiver, *nats.Subscription) {
	t.Helper()
	j.mu.Lock()
	j.releasing = true
	j.wakeReceiversLocked()
	j.mu.Unlock()
	j.partitions[0].receiving.Stop()
	j.mu.Lock()
	j.releasing, j.wanted = false, true
	j.mu.Unlock()
	r := newReceiver(j, j.partitions[0])
	subscription, err := j.link.Conn.ChanSubscribe(r.inbox+".*", r.messages)
	if err != nil {
		t.Fatal(err)
	}
	return r, subscription
}

// The remaining packets of an envelope are returned separately even while its stream is silent.
func testPartialReturnToSilentStream(t *testing.T, c Config) {
	a, b := openLasting(t, c), open(t, c)
	put(t, a, 0, 30)
	fetched := get(t, a, 30)
	a.Ack(fetched[:11])
	makeSilent(a)
	a.Nak(fetched[11:])
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := takeOver(t, b, 19); !slices.Equal(got, upTo(30)[11:]) {
		t.Errorf("the other one got %v", got)
	}
}

// makeSilent marks all streams as silent, as if they had no leader.
func makeSilent(j *Journal) {
	j.mu.Lock()
	for _, p := range j.partitions {
		p.standing = silent
	}
	done := j.updateWritableLocked()
	j.mu.Unlock()
	j.complete(done)
}

// While no stream answers, but the server does, packets wait.
func testElection(t *testing.T, c Config) {
	j := open(t, c)
	makeSilent(j)
	put(t, j, 0, 5)
	j.Ack(get(t, j, 5))
}

// An acknowledgement that a server has lost is sent again when the consumer is back.
func TestLostAcknowledgement(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	j := open(t, testConfig(s.URL(), s.Monitor()))
	put(t, j, 0, 3)
	held := get(t, j, 3)
	j.mu.Lock()
	for _, c := range j.claims {
		j.rememberAcksLocked([]ack{{c.reply, ackDone, c.partition}}, time.Now()) // as if the acknowledgement had been sent
	}
	j.mu.Unlock()
	s.Kill()
	s.Restart()
	until(t, "the stream is empty", func() bool {
		journaltest.Fetch(j, nil, 0)
		stream, err := j.link.JetStream.Stream(t.Context(), j.partitions[0].stream)
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
	j.Ack(held)
}

func TestStall(t *testing.T) {
	begun := time.Now()
	for _, one := range []struct {
		since, alive, now time.Duration
		waits             bool
	}{
		{0, 0, 0, true},
		{0, 0, deadAfter, false},
		{0, deadAfter / 2, deadAfter, true},
		{0, electionTimeout, electionTimeout, false},
	} {
		s := stall{begun.Add(one.since), begun.Add(one.alive)}
		if _, waits := s.waits(begun.Add(one.now)); waits != one.waits {
			t.Errorf("%+v: %v", one, waits)
		}
	}
	if _, waits := (stall{}).waits(begun); waits {
		t.Error("packets wait without a stall")
	}
}

// If an operator has changed a consumer's ack wait, claims last for the changed time.
func TestChangedAckWait(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	c := testConfig(s.URL(), s.Monitor())
	a := open(t, c)
	changed := consumerConfig(c.subjectOf(0))
	changed.AckWait = 10 * time.Second
	if _, err := a.link.JetStream.UpdateConsumer(t.Context(), c.streamOf(0), changed); err != nil {
		t.Fatal(err)
	}
	if b := open(t, c); a.partitions[0].ackWait != ackWait || b.partitions[0].ackWait != changed.AckWait {
		t.Errorf("claims last for %v and %v", a.partitions[0].ackWait, b.partitions[0].ackWait)
	}
}
