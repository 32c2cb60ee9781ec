package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
)

// An envelope that arrives after a mark that was sent long ago, as in a suspended process, may have
// been delivered to another distributor: it is not claimed. The mark of a pull precedes its
// messages.
func testLate(t *testing.T, c Config) {
	a, b := open(t, c), open(t, c)
	r, subscription := replaceReceiver(t, a)
	defer subscription.Unsubscribe() //nolint:errcheck // the connection may be closed
	r.begin()
	publishRaw(t, b, envelopeOf(t, "other-0-1", 5))
	publishRaw(t, b, envelopeOf(t, "other-0-2", 3))
	next := func() *nats.Msg {
		for m := range r.messages {
			if m.Subject == r.markSubject || len(m.Data) > 0 { // without a heartbeat
				return m
			}
		}
		return nil
	}
	mark, first, second := next(), next(), next()
	before := time.Now()
	r.handle(mark)
	if mark.Subject != r.markSubject || r.fresh.IsZero() || r.fresh.After(before) || before.Sub(r.fresh) > time.Minute {
		t.Fatalf("%s, %v", mark.Subject, r.fresh)
	}
	r.fresh = time.Now().Add(-ackWait)
	r.handle(first)
	if s := a.Stats(); s.Received.Packets != 0 {
		t.Errorf("a late envelope is claimed: %+v", s)
	}
	r.fresh = time.Now().Add(-ackWait / 2)
	r.handle(second)
	if s := a.Stats(); s.Received.Packets != 3 {
		t.Errorf("%+v", s)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.claims {
		if !c.extended.Equal(r.fresh) {
			t.Error("the claim counts from its receipt")
		}
	}
}

// A process that was suspended fetches no packet whose claim has expired, because other
// distributors have it.
func testExpiredMeanwhile(t *testing.T, c Config) {
	a := open(t, c)
	put(t, a, 0, 10)
	get(t, a, 0)
	until(t, "all is received", func() bool { journaltest.Fetch(a, nil, 0); return a.Stats().Queued.Packets == 10 })
	a.mu.Lock()
	a.maintained = time.Now().Add(-time.Hour)
	for _, claim := range a.claims {
		claim.extended = time.Now().Add(-2 * ackWait)
	}
	a.mu.Unlock()
	if fetched := journaltest.Fetch(a, nil, 10); len(fetched) > 0 {
		t.Errorf("the suspended process fetches %v", ids(fetched))
	}
	if s := a.Stats(); s.Returned.Packets != 10 || s.Queued.Packets != 0 {
		t.Errorf("%+v", s)
	}
}
