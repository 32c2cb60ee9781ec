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
		f.Begin(&m, 1, time.Now())
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

// What milliseconds do not express is kept, and clocks that are off are counted.
func TestTimestamps(t *testing.T) {
	f := newFixture(t, false)
	arrival := time.UnixMilli(2_000_000_000_000)
	day := int64(24 * time.Hour)
	now := arrival.UnixNano()
	for _, c := range []struct {
		nanoseconds int64
		want        string
		skewed      float64
	}{
		{now, `{"timestamp":2000000000000,`, 0},
		{now + 1, `{"timestamp":2000000000000,"level":"INFO","message":"x","metadata":{"time_unix_nano":"2000000000000000001"}`, 0},
		{0, `{"timestamp":2000000000000,"level":"INFO","message":"x","metadata":{"time_unix_nano":"0"}`, 0},
		{-1, `{"timestamp":2000000000000,"level":"INFO","message":"x","metadata":{"time_unix_nano":"-1"}`, 0},
		{999_999, `{"timestamp":2000000000000,"level":"INFO","message":"x","metadata":{"time_unix_nano":"999999"}`, 0},
		{now + day, `{"timestamp":2000086400000,`, 0},
		{now + day + 1e6, `{"timestamp":2000086400001,`, 1},
		{now - 7*day, `{"timestamp":1999395200000,`, 0},
		{now - 7*day - 1e6, `{"timestamp":1999395199999,`, 1},
	} {
		before := testutil.ToFloat64(f.counters.skewed)
		var m record.Message
		f.Begin(&m, c.nanoseconds, arrival)
		m.SetBody([]byte("x"))
		packets := f.NewPackets(t.Context())
		if err := packets.Group([]byte("e")).Add(&m); err != nil {
			t.Fatal(err)
		}
		p := packets.Seal("id")[0]
		if got := string(p.Body[len(`{"emitter_id":"e","messages":[`):]); len(got) < len(c.want) || got[:len(c.want)] != c.want {
			t.Errorf("%d: %s, want %s", c.nanoseconds, got, c.want)
		}
		if got := testutil.ToFloat64(f.counters.skewed) - before; got != c.skewed {
			t.Errorf("%d: %v are counted as skewed", c.nanoseconds, got)
		}
		f.Release(p)
	}
}
