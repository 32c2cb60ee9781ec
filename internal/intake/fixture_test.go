package intake

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// fakeJournal takes and releases packets unless a field says otherwise.
type fakeJournal struct {
	taken    []string // ids
	channels []chan<- packet.DeliveryResult
	full     map[string]bool // the packets without capacity
	err      error           // the error of any append
	capacity error
	// waiters, if async, are the waiters of packets that are not committed yet.
	async   bool
	waiters []journal.Waiter
	// entered, unless nil, gets a value in each Append, which then waits for gate.
	entered, gate chan struct{}
}

func (j *fakeJournal) Append(packets []*packet.Packet) (int, error) {
	if j.entered != nil {
		j.entered <- struct{}{}
		<-j.gate
	}
	for i, p := range packets {
		id := string(p.PacketID.Raw(p.Body))
		switch {
		case j.err != nil:
			return i, j.err
		case j.full[id]:
			return i, journal.ErrFull
		}
		j.taken, j.channels = append(j.taken, id), append(j.channels, p.DeliveryChan)
		p.Release()
	}
	return len(packets), nil
}

func (j *fakeJournal) AppendAll(packets []*packet.Packet) error {
	if j.err != nil {
		return j.err
	}
	for _, p := range packets {
		if j.full[string(p.PacketID.Raw(p.Body))] {
			return journal.ErrFull
		}
	}
	_, err := j.Append(packets)
	return err
}

func (j *fakeJournal) AppendAsync(packets []*packet.Packet, w journal.Waiter) (taken int, pending bool, err error) {
	if !j.async {
		taken, err = j.Append(packets)
		return taken, false, err
	}
	for taken < len(packets) && !j.full[string(packets[taken].PacketID.Raw(packets[taken].Body))] {
		taken++
	}
	if taken < len(packets) {
		err = journal.ErrFull
	}
	if taken > 0 {
		j.waiters = append(j.waiters, w)
	}
	return taken, taken > 0, err
}

func (j *fakeJournal) CheckCapacity(int) error { return j.capacity }

func (j *fakeJournal) Fits(int) bool { return true }

// newIntake returns an intake whose memory must be free when the test ends.
func newIntake(t testing.TB, j Journal, change func(*Config, *Dependencies)) *Intake {
	t.Helper()
	config := Config{MemoryBytes: 1 << 20, Ack: AckQueued, AckTimeout: time.Minute}
	deps := Dependencies{
		Journal: j, Pool: new(packet.Pool), Logger: discard(), Accepting: func() bool { return true },
		RetryAfter: func(Reason) time.Duration { return time.Second },
	}
	if change != nil {
		change(&config, &deps)
	}
	i := New(config, deps)
	t.Cleanup(func() {
		if held := i.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	return i
}

func window(t testing.TB) *dedupe.Window {
	t.Helper()
	w, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 500_000}, discard(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func text(emitter, id, level string) []byte {
	return fmt.Appendf(nil, `{"emitter_id":"%s","packet_id":"%s","messages":[{"timestamp":1,"level":"%s","message":"m"}]}`, emitter, id, level)
}

// packet returns a checked packet in lent memory.
func (i *Intake) packet(t testing.TB, body []byte) *packet.Packet {
	t.Helper()
	p, reason := i.Memory().Lend(len(body))
	if reason != "" {
		t.Fatal(reason)
	}
	info, err := packet.Check(body, 10)
	if err != nil {
		t.Fatal(err)
	}
	p.Body, p.Info, p.Accepted = append(p.Body, body...), info, time.Now()
	return p
}

// accept has packets accepted as a protocol does, and returns the result of each.
func (i *Intake) accept(t testing.TB, principal string, bodies ...[]byte) []string {
	t.Helper()
	b := i.NewBatch()
	var results []Result
	var undecided []int
	for n, body := range bodies {
		p := i.packet(t, body)
		c := Candidate{Packet: p, Principal: principal}
		result := i.Screen(&c)
		results = append(results, result)
		if result.Outcome == Undecided {
			b.Add(&c)
			undecided = append(undecided, n)
		} else {
			i.Memory().Drop(p)
		}
	}
	for at, result := range b.Accept(AckQueued) {
		results[undecided[at]] = result
	}
	return words(results)
}

func words(results []Result) (words []string) {
	for _, r := range results {
		word := [...]string{"undecided", "accepted", "duplicate", "refused"}[r.Outcome]
		if r.Refusal != nil {
			word = r.Refusal.PacketID + " " + string(r.Refusal.Reason)
		}
		words = append(words, word)
	}
	return words
}
