package receiver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// add is a Translation of one record.
func (f *fixture) add(emitter, text string) Translation {
	return func(packets *record.Packets) (string, error) {
		var m record.Message
		m.Begin(1)
		m.SetBody([]byte(text))
		return f.SequenceID(), packets.Group([]byte(emitter)).Add(&m)
	}
}

// Packets wait until there is capacity, and are counted as refused once if ctx ends before.
func TestPersist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		for range 3 {
			if why := f.Persist(t.Context(), Sender{}, 10, f.add("e", "text")); why != nil {
				t.Fatal(why)
			}
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if why := f.Persist(ctx, Sender{}, 10, f.add("e", "text")); codeOf(why) != problem.Overloaded || time.Since(start) != 30*time.Second {
			t.Errorf("%+v after %v", why, time.Since(start))
		}
		if got := testutil.ToFloat64(f.counters.refused[problem.Overloaded]); got != 1 {
			t.Errorf("%v refusals are counted", got)
		}
		time.AfterFunc(time.Minute, func() {
			taken, _ := f.journal.Fetch(t.Context(), nil, 1)
			f.journal.Ack(taken)
		})
		start = time.Now()
		if why := f.Persist(t.Context(), Sender{}, 10, f.add("e", "text")); why != nil || time.Since(start) < time.Minute {
			t.Errorf("%+v after %v", why, time.Since(start))
		}
		_ = f.journal.Close()
	})
}

// What is refused for good is not tried again; an ended context allows one attempt.
func TestPersistForGood(t *testing.T) {
	f := newFixture(t, true)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	from := Sender{Principal: f.Principals().Token([]byte(token))}
	if why := f.Persist(t.Context(), from, 10, f.add("other", "text")); codeOf(why) != problem.EmitterNotAllowed {
		t.Errorf("%+v", why)
	}
	if why := f.Persist(ended, from, 10, f.add("web-1", "text")); why != nil {
		t.Errorf("%+v", why)
	}
	malformed := func(*record.Packets) (string, error) { return "", &problem.Problem{Code: problem.Malformed} }
	if why := f.Persist(t.Context(), from, 10, malformed); codeOf(why) != problem.Malformed {
		t.Errorf("%+v", why)
	}
	nothing := func(*record.Packets) (string, error) { return "", nil }
	if why := f.Persist(t.Context(), from, 10, nothing); why != nil {
		t.Errorf("%+v", why)
	}
}

func TestLend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		var held []*packet.Packet
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for {
			p := f.Lend(ctx, 100_000)
			if p == nil {
				break
			}
			held = append(held, p)
		}
		if ctx.Err() == nil || len(held) < 3 {
			t.Errorf("%d were lent", len(held))
		}
		time.AfterFunc(time.Second, func() { f.Release(held[0]) })
		p := f.Lend(t.Context(), 100_000)
		for _, p := range append(held[1:], p) {
			f.Release(p)
		}
	})
}
