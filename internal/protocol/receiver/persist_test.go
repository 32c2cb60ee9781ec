package receiver

import (
	"context"
	"fmt"
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
	return func(packets *record.Packets) (ID, error) {
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

// numbered returns records of the emitters e0, e1 and so on.
func numbered(f *fixture, count int) Records {
	return Records{Count: count, Bytes: 10, Translate: func(packets *record.Packets, first, end int) error {
		for n := first; n < end; n++ {
			if _, err := f.add(fmt.Sprint("e", n), "text")(packets); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Records that need more packets than the total capacity are accepted in parts, in order and each
// once; if the first record waits until ctx ends, the records behind it are rejected, too. Only the
// latter counts as a refusal, once.
func TestPersistParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 20
		f := newFixture(t, false) // with capacity for three packets
		records := numbered(f, count)
		var got []string
		fetch := func() {
			taken, _ := f.journal.Fetch(t.Context(), nil, 100)
			for _, p := range taken {
				got = append(got, string(p.EmitterID.Raw(p.Body)))
			}
			f.journal.Ack(taken)
		}
		for second := range 20 {
			time.AfterFunc(time.Duration(second)*time.Second, fetch)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if why := f.PersistParts(ctx, Sender{}, records); why != nil || time.Since(start) > 20*time.Second {
			t.Errorf("%+v after %v", why, time.Since(start))
		}
		fetch()
		for n := range got {
			if got[n] != fmt.Sprint("e", n) || len(got) != count {
				t.Fatalf("%v", got)
			}
		}
		refused := f.counters.refused[problem.Overloaded]
		if n := testutil.ToFloat64(refused); n != 0 {
			t.Errorf("%v refusals are counted for accepted records", n)
		}
		time.Sleep(time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		why := f.PersistParts(ctx, Sender{}, records)
		accepted, rejected := testutil.ToFloat64(f.counters.records)-count, testutil.ToFloat64(f.counters.rejected[problem.Overloaded].records)
		if codeOf(why) != problem.Overloaded || accepted < 1 || accepted > 3 || accepted+rejected != count {
			t.Errorf("%v accepted, %v rejected, %+v", accepted, rejected, why)
		}
		if n := testutil.ToFloat64(refused); n != 1 {
			t.Errorf("%v refusals are counted", n)
		}
		_ = f.journal.Close()
	})
}

// Packets that the journal never takes together are accepted as its capacity returns, each once.
func TestPersistTakesReturnedCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packets, interval = 60, 100 * time.Millisecond
		f := newFixture(t, false) // with capacity for three packets
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range packets / 3 {
				time.Sleep(interval)
				taken, _ := f.journal.Fetch(t.Context(), nil, packets)
				f.journal.Ack(taken)
			}
		}()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		why := f.Persist(ctx, Sender{}, 10, func(into *record.Packets) (ID, error) {
			for range packets {
				if _, err := f.add("e", "text")(into); err != nil {
					return ID{}, err
				}
			}
			return ID{Text: "chunk", Repeatable: true}, nil
		})
		if waited := time.Since(start); why != nil || waited > packets/3*interval+time.Second {
			t.Errorf("%+v after %v", why, waited)
		}
		<-done
		if got := testutil.ToFloat64(f.counters.packets); got != packets {
			t.Errorf("%v packets were accepted", got)
		}
		_ = f.journal.Close()
	})
}

// Packets that are refused for good are not submitted again; an ended context allows one attempt.
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
	malformed := func(*record.Packets) (ID, error) { return ID{}, &problem.Problem{Code: problem.Malformed} }
	if why := f.Persist(t.Context(), from, 10, malformed); codeOf(why) != problem.Malformed {
		t.Errorf("%+v", why)
	}
	nothing := func(*record.Packets) (ID, error) { return ID{}, nil }
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
