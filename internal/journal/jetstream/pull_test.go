package jetstream

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// The messages of a pull are counted, so that the memory that it may still take is known, and the
// end of a pull after its last message is no failure: the consumer is not queried.
func TestPullsAreCounted(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	c := testConfig(server.URL(), server.Monitor())
	j := open(t, c)
	journaltest.Fetch(j, nil, 0)
	queries, err := j.link.Conn.SubscribeSync("$JS.API.CONSUMER.INFO." + c.streamOf(0) + ".>")
	if err != nil {
		t.Fatal(err)
	}
	pulled := func() int64 { j.mu.Lock(); defer j.mu.Unlock(); return j.pulledBytes }
	until(t, "a pull has begun", func() bool { return pulled() == maxPullBytes })
	put(t, j, 0, 1)
	until(t, "the packet is received", func() bool { return j.Stats().Queued.Packets == 1 })
	until(t, "its bytes are counted", func() bool { left := pulled(); return left < maxPullBytes && left > maxPullBytes-2*messageOverhead })
	const pulls = 3
	for i := range pulls * maxPullMessages {
		put(t, j, i+1, 1)
		j.Ack(get(t, j, 1))
	}
	if made, _, _ := queries.Pending(); made > 0 {
		t.Errorf("the consumer is queried %d times", made)
	}
	if _, err := j.link.JetStream.Consumer(t.Context(), c.streamOf(0), durable); err != nil {
		t.Fatal(err)
	}
	until(t, "a query is seen", func() bool { made, _, _ := queries.Pending(); return made == 1 })
}
