package intake

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

func wantWords(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the results are %q, want %q", got, want)
	}
}

func TestAccept(t *testing.T) {
	one, two, three := text("e", "1", "INFO"), text("e", "2", "INFO"), text("e", "3", "INFO")
	for name, c := range map[string]struct {
		journal fakeJournal
		want    []string
	}{
		"all":        {fakeJournal{}, []string{"accepted", "accepted", "accepted"}},
		"one full":   {fakeJournal{full: map[string]bool{"2": true}}, []string{"accepted", "2 overloaded", "accepted"}},
		"unwritable": {fakeJournal{err: journal.ErrUnwritable}, []string{"1 journal_unwritable", "2 journal_unwritable", "3 journal_unwritable"}},
		"too large":  {fakeJournal{err: journal.ErrTooLarge}, []string{"1 too_large", "2 too_large", "3 too_large"}},
		"closed":     {fakeJournal{err: journal.ErrClosed}, []string{"1 draining", "2 draining", "3 draining"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIntake(t, &c.journal, nil)
			wantWords(t, i.accept(t, "", one, two, three), c.want...)
			for _, reason := range Reasons() {
				want := 0
				for _, word := range c.want {
					if word[min(2, len(word)):] == string(reason) {
						want++
					}
				}
				if got := i.Refused(string(reason)); got != int64(want) {
					t.Errorf("%d packets are counted as %s, want %d", got, reason, want)
				}
			}
		})
	}
}

func TestAdmit(t *testing.T) {
	j, accepting := new(fakeJournal), true
	i := newIntake(t, j, func(_ *Config, d *Dependencies) { d.Accepting = func() bool { return accepting } })
	want := func(bytes int, reason Reason) {
		t.Helper()
		if got := i.Admit(bytes); got != reason {
			t.Errorf("%d bytes: %q, want %q", bytes, got, reason)
		}
	}
	want(1<<20, "")
	want(1<<20+1, TooLarge)
	j.capacity = journal.ErrFull
	want(1, Overloaded)
	j.capacity = journal.ErrUnwritable
	want(1, JournalUnwritable)
	accepting = false
	want(1, NoAnalyzer)
	i.Drain()
	want(1, Draining)
}

func TestDuplicates(t *testing.T) {
	j := new(fakeJournal)
	i := newIntake(t, j, func(_ *Config, d *Dependencies) {
		d.Duplicates, d.Limiter = window(t), ratelimit.New(ratelimit.Config{Rate: 0.001, Burst: 2})
	})
	one, two := text("e", "1", "INFO"), text("e", "2", "INFO")
	wantWords(t, i.accept(t, "", one), "accepted")
	wantWords(t, i.accept(t, "", one, two, two), "duplicate", "accepted", "duplicate")
	wantWords(t, i.accept(t, "", one, text("e", "3", "INFO")), "duplicate", "3 rate_limited")
	if i.Duplicates() != 3 || !slices.Equal(j.taken, []string{"1", "2"}) {
		t.Errorf("%d duplicates, the journal took %q", i.Duplicates(), j.taken)
	}
}

// A packet that another request is storing gets the result of that request.
func TestInFlight(t *testing.T) {
	for _, failure := range []error{nil, journal.ErrUnwritable} {
		j := &fakeJournal{err: failure, entered: make(chan struct{}), gate: make(chan struct{})}
		i := newIntake(t, j, func(_ *Config, d *Dependencies) { d.Duplicates = window(t) })
		body := text("e", "1", "INFO")
		first := make(chan []string)
		go func() { first <- i.accept(t, "", body) }()
		<-j.entered
		p := i.packet(t, body)
		c := Candidate{Packet: p}
		result := i.Screen(&c)
		if result.Outcome != Undecided || !c.InFlight() {
			t.Fatalf("%+v is not in flight", result)
		}
		b := i.NewBatch()
		b.Add(&c)
		j.gate <- struct{}{}
		want := [2]string{"accepted", "duplicate"}
		if failure != nil {
			want = [2]string{"1 journal_unwritable", "1 journal_unwritable"}
		}
		wantWords(t, words(b.Accept(AckQueued)), want[1])
		wantWords(t, <-first, want[0])
	}
}

// Equal packets of two principals are different packets, and the emitters of each principal have
// rate limits of their own.
func TestPrincipalsAreSeparate(t *testing.T) {
	i := newIntake(t, new(fakeJournal), func(_ *Config, d *Dependencies) {
		d.Duplicates, d.Limiter = window(t), ratelimit.New(ratelimit.Config{Rate: 0.001, Burst: 1})
	})
	one, two := text("e", "1", "INFO"), text("e", "2", "INFO")
	for _, principal := range []string{"", "a", "b"} {
		wantWords(t, i.accept(t, principal, one), "accepted")
		wantWords(t, i.accept(t, principal, one, two), "duplicate", "2 rate_limited")
	}
}

func TestShedding(t *testing.T) {
	shed, err := ParseShed("INFO@50%")
	if err != nil {
		t.Fatal(err)
	}
	i := newIntake(t, new(fakeJournal), func(c *Config, d *Dependencies) {
		c.Shed, d.Utilization = shed, func() float64 { return 0.6 }
	})
	wantWords(t, i.accept(t, "", text("e", "1", "INFO"), text("e", "2", "ERROR")), "1 shed", "accepted")
	if i.ShedPackets(packet.LevelInfo) != 1 || i.Refused("shed") != 1 {
		t.Errorf("%d packets are counted", i.ShedPackets(packet.LevelInfo))
	}
}

// A packet that the journal does not take is not charged to the rate limit.
func TestRateIsRefunded(t *testing.T) {
	j := &fakeJournal{full: map[string]bool{"1": true}}
	i := newIntake(t, j, func(_ *Config, d *Dependencies) {
		d.Limiter = ratelimit.New(ratelimit.Config{Rate: 0.001, Burst: 1})
	})
	for range 3 {
		wantWords(t, i.accept(t, "", text("e", "1", "INFO")), "1 overloaded")
	}
	wantWords(t, i.accept(t, "", text("e", "2", "INFO"), text("e", "3", "INFO")), "accepted", "3 rate_limited")
}

// committed records that a batch can be finished.
type committed bool

func (c *committed) OnCommit() { *c = true }

func TestSubmit(t *testing.T) {
	for name, c := range map[string]struct {
		journal fakeJournal
		commit  []error // a value for each append to commit
		want    []string
	}{
		"at once":         {fakeJournal{}, nil, []string{"accepted", "accepted", "accepted"}},
		"later":           {fakeJournal{async: true}, []error{nil}, []string{"accepted", "accepted", "accepted"}},
		"later, one full": {fakeJournal{async: true, full: map[string]bool{"2": true}}, []error{nil, nil}, []string{"accepted", "2 overloaded", "accepted"}},
		"in part": {fakeJournal{async: true, full: map[string]bool{"2": true}}, []error{journal.ErrUnwritable, nil},
			[]string{"1 journal_unwritable", "2 overloaded", "accepted"}},
		"none": {fakeJournal{async: true, full: map[string]bool{"1": true, "2": true, "3": true}}, nil,
			[]string{"1 overloaded", "2 overloaded", "3 overloaded"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIntake(t, &c.journal, func(_ *Config, d *Dependencies) { d.Duplicates = window(t) })
			b := i.NewBatch()
			for range 2 { // a batch is used again with its memory
				b.Reset()
				for _, id := range []string{"1", "2", "3"} {
					candidate := Candidate{Packet: i.packet(t, text("e", id, "INFO"))}
					i.Screen(&candidate)
					b.Add(&candidate)
				}
				var done committed
				if pending := b.Submit(&done); pending != (len(c.commit) > 0) {
					t.Fatalf("pending: %v", pending)
				}
				for n, w := range c.journal.waiters {
					if done {
						t.Error("the batch is committed before its last packets are")
					}
					w.OnCommit(c.commit[n])
				}
				c.journal.waiters = nil
				if bool(done) != (len(c.commit) > 0) {
					t.Errorf("committed: %v", done)
				}
				wantWords(t, words(b.Finish()), c.want...)
				i.deps.Duplicates = window(t)
			}
		})
	}
}

func TestAwaitDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &fakeJournal{full: map[string]bool{"3": true}}
		i := newIntake(t, j, nil)
		deliver := func() *Batch {
			b := i.NewBatch()
			for _, id := range []string{"1", "2", "3"} {
				c := Candidate{Packet: i.packet(t, text("e", id, "INFO"))}
				i.Screen(&c)
				b.Add(&c)
			}
			b.Accept(AckDelivered)
			return b
		}
		b, start := deliver(), time.Now()
		go func() {
			for _, results := range j.channels {
				time.Sleep(4 * time.Second)
				results <- packet.DeliveryResult{Analyzer: "a"}
			}
		}()
		if got := b.AwaitDeliveries(t.Context()); len(got) != 2 || time.Since(start) != 8*time.Second {
			t.Errorf("after %v there are %d results", time.Since(start), len(got))
		}
		b, start = deliver(), time.Now()
		j.channels[len(j.channels)-1] <- packet.DeliveryResult{Analyzer: "a"}
		if got := b.AwaitDeliveries(t.Context()); len(got) != 1 || time.Since(start) != time.Minute {
			t.Errorf("after %v there are %d results", time.Since(start), len(got))
		}
		b, start = deliver(), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := b.AwaitDeliveries(ctx); len(got) != 0 || time.Since(start) != time.Second {
			t.Errorf("after %v there are %d results", time.Since(start), len(got))
		}
	})
}
