package intake

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

// together has packets accepted as one.
func (i *Intake) together(t testing.TB, ack Ack, bodies ...[]byte) Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), RoomTimeout)
	defer cancel()
	var candidates []Candidate
	for _, body := range bodies {
		p, reason := i.LendWithRoom(ctx, len(body))
		if reason != "" {
			for _, c := range candidates {
				i.memory.Drop(c.Packet)
			}
			return Receipt{Refusal: &Refusal{Reason: reason}}
		}
		info, err := packet.Check(body, 10)
		if err != nil {
			t.Fatal(err)
		}
		p.Body, p.Info, p.Accepted = append(p.Body, body...), info, time.Now()
		candidates = append(candidates, Candidate{Packet: p})
	}
	return i.AcceptAll(ctx, candidates, ack)
}

func reasonsOf(r Receipt) Reason {
	if r.Refusal == nil {
		return ""
	}
	return r.Refusal.Reason
}

func TestAllOrNone(t *testing.T) {
	one, two, three := text("e", "1", "INFO"), text("e", "2", "INFO"), text("e", "3", "DEBUG")
	shed, err := ParseShed("DEBUG@50%")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		journal fakeJournal
		change  func(*Config, *Dependencies)
		want    Reason
	}{
		"accepted":    {},
		"unwritable":  {journal: fakeJournal{err: journal.ErrUnwritable}, want: JournalUnwritable},
		"closed":      {journal: fakeJournal{err: journal.ErrClosed}, want: Draining},
		"shed":        {change: func(c *Config, d *Dependencies) { c.Shed, d.Utilization = shed, func() float64 { return 0.6 } }, want: Shed},
		"paused":      {change: func(c *Config, _ *Dependencies) { c.Mode = ModePaused }, want: Paused},
		"over a rate": {change: func(_ *Config, d *Dependencies) { d.Limiter = ratelimit.New(ratelimit.Config{Rate: 0.001, Burst: 2}) }, want: RateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIntake(t, &c.journal, func(config *Config, d *Dependencies) {
				d.InputDuplicates = window(t)
				if c.change != nil {
					c.change(config, d)
				}
			})
			for range 2 { // a refusal leaves no reservation, and no charge
				receipt := i.together(t, AckQueued, one, two, three)
				if got := reasonsOf(receipt); got != c.want {
					t.Fatalf("%+v, want %q", receipt, c.want)
				}
				if c.want != "" && (receipt.Accepted > 0 || len(c.journal.taken) > 0) {
					t.Errorf("%+v, the journal took %q", receipt, c.journal.taken)
				}
			}
			if c.want == "" && len(c.journal.taken) != 3 {
				t.Errorf("the journal took %q", c.journal.taken)
			}
		})
	}
}

// Packets that come again are recognised, though Screen is configured to recognise none.
func TestRepeatedRequest(t *testing.T) {
	i := newIntake(t, new(fakeJournal), func(_ *Config, d *Dependencies) { d.InputDuplicates = window(t) })
	one, two := text("e", "1", "INFO"), text("e", "2", "INFO")
	if got := i.together(t, AckQueued, one); got != (Receipt{Accepted: 1}) {
		t.Errorf("%+v", got)
	}
	if got := i.together(t, AckQueued, one, two, two); got != (Receipt{Accepted: 1, Duplicates: 2}) {
		t.Errorf("%+v", got)
	}
}

// A request waits for capacity, for five seconds at most.
func TestWaitForRoom(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  Reason
	}{{0, ""}, {4 * time.Second, ""}, {6 * time.Second, Overloaded}} {
		for _, appends := range []bool{false, true} {
			testWaitForRoom(t, c.after, appends, c.want)
		}
	}
}

func testWaitForRoom(t *testing.T, after time.Duration, appends bool, want Reason) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		j := &roomyJournal{from: start.Add(after), appends: appends}
		i := newIntake(t, j, nil)
		receipt := i.together(t, AckQueued, text("e", "1", "INFO"))
		if got := reasonsOf(receipt); got != want {
			t.Errorf("capacity after %v: %+v", after, receipt)
		}
		waited := time.Since(start)
		if waited > RoomTimeout || waited < min(after, RoomTimeout) {
			t.Errorf("capacity after %v: it waited %v", after, waited)
		}
		start = time.Now()
		j.from = start.Add(after)
		ctx, cancel := context.WithTimeout(t.Context(), RoomTimeout)
		defer cancel()
		if got := i.AwaitRoom(ctx, 100); got != want && !appends {
			t.Errorf("capacity after %v: %q", after, got)
		}
	})
}

// roomyJournal has capacity from a time on.
type roomyJournal struct {
	fakeJournal
	from    time.Time
	appends bool // CheckCapacity does not know of that
}

func (j *roomyJournal) AppendAll(packets []*packet.Packet) error {
	if time.Now().Before(j.from) {
		return journal.ErrFull
	}
	return j.fakeJournal.AppendAll(packets)
}

func (j *roomyJournal) CheckCapacity(int) error {
	if time.Now().Before(j.from) && !j.appends {
		return journal.ErrFull
	}
	return nil
}

// The requests that wait are bounded in number and in bytes.
func TestBoundsOfRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &roomyJournal{from: time.Now().Add(time.Second)}
		i := newIntake(t, full, nil)
		admitted := make(chan Reason, maxWaiting)
		for range maxWaiting {
			go func() { admitted <- i.AwaitRoom(t.Context(), 1) }()
		}
		synctest.Wait()
		start := time.Now()
		if got := i.AwaitRoom(t.Context(), 1); got != Overloaded || time.Since(start) != 0 {
			t.Errorf("one more: %q after %v", got, time.Since(start))
		}
		for range maxWaiting {
			if got := <-admitted; got != "" {
				t.Errorf("a request that waited: %q", got)
			}
		}
		if i.room.requests.Load() != 0 || i.room.bytes.Load() != 0 {
			t.Errorf("%d requests and %d bytes are left", i.room.requests.Load(), i.room.bytes.Load())
		}
		full.from = time.Now().Add(time.Second)
		err := i.awaitRoom(t.Context(), 1<<20/waitingDivisor+1, func() error { return full.CheckCapacity(0) })
		if !errors.Is(err, journal.ErrFull) || !time.Now().Before(full.from) {
			t.Errorf("more bytes than may wait: %v", err)
		}
	})
}

// A request with packets that another one is storing shares their fate, also if it waits for
// capacity.
func TestTogetherInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &roomyJournal{from: time.Now().Add(time.Second), appends: true}
		i := newIntake(t, j, func(_ *Config, d *Dependencies) { d.InputDuplicates = window(t) })
		receipts := make(chan Receipt, 2)
		for range 2 {
			go func() { receipts <- i.together(t, AckQueued, text("e", "1", "INFO")) }()
			synctest.Wait()
		}
		if first, second := <-receipts, <-receipts; first != (Receipt{Accepted: 1}) || second != (Receipt{Duplicates: 1}) {
			t.Errorf("%+v and %+v", first, second)
		}
	})
}

func TestTogetherDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(fakeJournal)
		i := newIntake(t, j, nil)
		go func() {
			synctest.Wait()
			j.channels[0] <- packet.DeliveryResult{Analyzer: "a"}
		}()
		if got := i.together(t, AckDelivered, text("e", "1", "INFO"), text("e", "2", "INFO")); got != (Receipt{Accepted: 2, Undelivered: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

func BenchmarkAcceptAll(b *testing.B) {
	i := newIntake(b, new(fakeJournal), func(_ *Config, d *Dependencies) { d.InputDuplicates = window(b) })
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		i.together(b, AckQueued, text("e", fmt.Sprint(n), "INFO"))
	}
}
