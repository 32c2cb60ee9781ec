package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

// together has the packets of one request accepted together; the request is repeatable.
func (i *Intake) together(t testing.TB, ack Ack, bodies ...[]byte) Receipt {
	t.Helper()
	return i.togetherAs(t, ack, true, bodies...)
}

func (i *Intake) togetherAs(t testing.TB, ack Ack, repeatable bool, bodies ...[]byte) Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), CapacityTimeout)
	defer cancel()
	var candidates []Candidate
	for _, body := range bodies {
		p, reason := i.AwaitMemory(ctx, len(body))
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
	var parts context.Context
	if repeatable {
		parts = ctx
	}
	return i.AcceptAll(ctx, parts, candidates, ack)
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

// AcceptAll recognises repeated packets even if Screen is configured to recognise none.
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
func TestAwaitCapacity(t *testing.T) {
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
		j := &delayedJournal{from: start.Add(after), appends: appends}
		i := newIntake(t, j, nil)
		receipt := i.together(t, AckQueued, text("e", "1", "INFO"))
		if got := reasonsOf(receipt); got != want {
			t.Errorf("capacity after %v: %+v", after, receipt)
		}
		waited := time.Since(start)
		if waited > CapacityTimeout || waited < min(after, CapacityTimeout) {
			t.Errorf("capacity after %v: it waited %v", after, waited)
		}
		start = time.Now()
		j.from = start.Add(after)
		ctx, cancel := context.WithTimeout(t.Context(), CapacityTimeout)
		defer cancel()
		if got := i.AwaitCapacity(ctx, 100); got != want && !appends {
			t.Errorf("capacity after %v: %q", after, got)
		}
	})
}

// delayedJournal has capacity from a given time on.
type delayedJournal struct {
	fakeJournal
	from    time.Time
	appends bool // CheckCapacity reports capacity before that time
}

func (j *delayedJournal) AppendAll(packets []*packet.Packet) error {
	if time.Now().Before(j.from) {
		return journal.ErrFull
	}
	return j.fakeJournal.AppendAll(packets)
}

func (j *delayedJournal) CheckCapacity(int) error {
	if time.Now().Before(j.from) && !j.appends {
		return journal.ErrFull
	}
	return nil
}

// The requests that wait for capacity are bounded in number and in bytes.
func TestWaitersForCapacityAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &delayedJournal{from: time.Now().Add(time.Second)}
		i := newIntake(t, full, nil)
		admitted := make(chan Reason, maxWaiting)
		for range maxWaiting {
			go func() { admitted <- i.AwaitCapacity(t.Context(), 1) }()
		}
		synctest.Wait()
		start := time.Now()
		if got := i.AwaitCapacity(t.Context(), 1); got != Overloaded || time.Since(start) != 0 {
			t.Errorf("a request above the limit: %q after %v", got, time.Since(start))
		}
		for range maxWaiting {
			if got := <-admitted; got != "" {
				t.Errorf("a request that waited: %q", got)
			}
		}
		if i.waiters.requests.Load() != 0 || i.waiters.bytes.Load() != 0 {
			t.Errorf("%d requests and %d bytes are left", i.waiters.requests.Load(), i.waiters.bytes.Load())
		}
		full.from = time.Now().Add(time.Second)
		err := i.awaitCapacity(t.Context(), 1<<20/waitingDivisor+1, func() error { return full.CheckCapacity(0) })
		if !errors.Is(err, journal.ErrFull) || !time.Now().Before(full.from) {
			t.Errorf("more bytes than may wait: %v", err)
		}
	})
}

// A request with packets that another request is storing gets the result of that request, even if
// it waits for capacity.
func TestTogetherInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &delayedJournal{from: time.Now().Add(time.Second), appends: true}
		i := newIntake(t, j, func(_ *Config, d *Dependencies) { d.InputDuplicates = window(t) })
		var receipts [2]chan Receipt
		for n := range receipts {
			receipts[n] = make(chan Receipt, 1)
			go func() { receipts[n] <- i.together(t, AckQueued, text("e", "1", "INFO")) }()
			synctest.Wait()
		}
		if first, second := <-receipts[0], <-receipts[1]; first != (Receipt{Accepted: 1}) || second != (Receipt{Duplicates: 1}) {
			t.Errorf("%+v and %+v", first, second)
		}
	})
}

// Packets that the journal can never take together are accepted in parts if the request is
// repeatable, and the repeated request is completed; otherwise all of them are refused permanently.
func TestRequestAboveJournalCapacity(t *testing.T) {
	var bodies [][]byte
	for n := range 5 {
		bodies = append(bodies, text("e", fmt.Sprint(n), "INFO"))
	}
	synctest.Test(t, func(t *testing.T) {
		j := memory.New(memory.Config{QueuePackets: 2, LimitBytes: 1 << 20})
		i := newIntake(t, j, func(_ *Config, d *Dependencies) { d.InputDuplicates = window(t) })
		got := i.togetherAs(t, AckQueued, false, bodies...)
		if reasonsOf(got) != TooLarge || !strings.Contains(got.Refusal.Detail, "INGEST_BUFFER_SIZE is 2, and they are 5") {
			t.Errorf("not repeatable: %+v", got.Refusal)
		}
		if stats := j.Stats(); stats.Accepted.Packets != 0 {
			t.Errorf("%d packets of a refused request were accepted", stats.Accepted.Packets)
		}
		if got := i.together(t, AckQueued, bodies...); reasonsOf(got) != Overloaded {
			t.Errorf("repeatable, while nobody fetches: %+v", got)
		}
		var fetched []string
		fetch := func() {
			packets, _ := j.Fetch(t.Context(), nil, 1)
			for _, p := range packets {
				fetched = append(fetched, string(p.PacketID.Raw(p.Body)))
			}
			j.Ack(packets)
		}
		for second := range 5 {
			time.AfterFunc(time.Duration(second)*time.Second/2, fetch)
		}
		if got := i.together(t, AckQueued, bodies...); got != (Receipt{Accepted: 3, Duplicates: 2}) {
			t.Errorf("once more: %+v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(fetched, []string{"0", "1", "2", "3", "4"}) {
			t.Errorf("fetched %q", fetched)
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
