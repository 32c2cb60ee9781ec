// Package journaltest tests implementations of journal.Journal for conformance.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Limits are the limits of a test's journal.
type Limits struct {
	// Bytes is the maximum of packet bytes that the journal takes, and four times the
	// minimum. Its memory must hold all of them.
	Bytes int64
}

// Open returns an empty journal, which the test closes.
type Open func(t *testing.T, limits Limits) journal.Journal

const (
	ampleBytes  = 64 << 20
	traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// Run runs the conformance tests as subtests of t.
func Run(t *testing.T, open Open) {
	run(t, open, append(sharedTests, []conformanceTest{
		{"capacity", 2 << 20, testCapacity},
		{"partial append", 2 << 20, testPartialAppend},
		{"append all or none", 2 << 20, testAppendAll},
		{"spellings of an emitter's id", ampleBytes, testSpellings},
		{"refused packets stay the caller's", 2 << 20, testRefusedPackets},
		{"close", ampleBytes, testClose},
	}...))
}

// RunShared runs the tests of a shared journal, whose store has no other user and one partition.
func RunShared(t *testing.T, open Open) {
	run(t, open, append(sharedTests, conformanceTest{"close", ampleBytes, testCloseShared}))
}

type conformanceTest struct {
	name  string
	bytes int64
	test  func(*testing.T, journal.Journal)
}

// sharedTests also apply to shared journals.
var sharedTests = []conformanceTest{
	{"order", ampleBytes, testOrder},
	{"stats", ampleBytes, testStats},
	{"async append", ampleBytes, testAppendAsync},
	{"acks in any order", ampleBytes, testAcksInAnyOrder},
	{"nak", ampleBytes, testNak},
	{"released packets are not used", ampleBytes, testReleased},
	{"wake-ups", ampleBytes, testWakeUps},
	{"samples", ampleBytes, testSample},
	{"concurrent use", ampleBytes, testConcurrentUse},
}

func run(t *testing.T, open Open, tests []conformanceTest) {
	for _, test := range slices.Clip(tests) {
		t.Run(test.name, func(t *testing.T) {
			j := open(t, Limits{Bytes: test.bytes})
			t.Cleanup(func() {
				if err := j.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test.test(t, j)
		})
	}
}

// appendPackets appends packets with ids from first on, which must all be taken.
func appendPackets(t *testing.T, j journal.Journal, packets *Packets, first, count int) {
	t.Helper()
	batch := make([]*packet.Packet, count)
	for i := range batch {
		batch[i] = packets.Make(t, "emitter", fmt.Sprint(first+i), 500)
		batch[i].Traceparent = traceparent
	}
	if taken, err := j.Append(batch); taken != count || err != nil {
		t.Fatalf("Append took %d of %d packets: %v", taken, count, err)
	}
}

// Fetch calls j.Fetch without a deadline. It panics on an error.
func Fetch(j journal.Journal, dst []*packet.Packet, limit int) []*packet.Packet {
	fetched, err := j.Fetch(context.Background(), dst, limit)
	if err != nil {
		panic(err)
	}
	return fetched
}

// fetch fetches count packets, and waits for them.
func fetch(t *testing.T, j journal.Journal, count int) []*packet.Packet {
	t.Helper()
	var fetched []*packet.Packet
	for len(fetched) < count {
		before := len(fetched)
		fetched = Fetch(j, fetched, count-before)
		if len(fetched) == before {
			await(t, j)
		}
	}
	return fetched
}

// checkStats checks that the statistics are consistent and have these values. A shared journal has
// them after a while.
func checkStats(t *testing.T, j journal.Journal, queued, claimed, acknowledged int) {
	t.Helper()
	want := [3]int64{int64(queued), int64(claimed), int64(acknowledged)}
	if _, shared := j.(journal.Shared); shared {
		awaitStats(j, want)
	}
	stats := j.Stats()
	checkSum(t, stats)
	if got := counts(stats); got != want {
		t.Errorf("queued, claimed, acknowledged: %v, want %v", got, want)
	}
}

func counts(s journal.Stats) [3]int64 {
	return [3]int64{s.Queued.Packets, s.Claimed.Packets, s.Acknowledged.Packets}
}

// awaitStats waits for up to a minute.
func awaitStats(j journal.Journal, want [3]int64) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && counts(j.Stats()) != want; <-ticker.C {
		Fetch(j, nil, 0) // signals that more packets are wanted
	}
}

// checkSum checks that the counters account for every packet.
func checkSum(t *testing.T, s journal.Stats) {
	t.Helper()
	if sum := s.Queued.Plus(s.Claimed).Plus(s.Acknowledged).Plus(s.Returned); sum != s.Received {
		t.Errorf("received %+v, but queued, claimed, acknowledged and returned are %+v", s.Received, sum)
	}
}

func testOrder(t *testing.T, j journal.Journal) {
	var packets Packets
	appendPackets(t, j, &packets, 0, 1)
	appendPackets(t, j, &packets, 1, 70)
	appendPackets(t, j, &packets, 71, 29)
	checkStats(t, j, 100, 0, 0)
	var fetched []*packet.Packet
	for _, limit := range []int{0, 1, 13, 50, 100} {
		before := len(fetched)
		fetched = Fetch(j, fetched, limit)
		if got := len(fetched) - before; got > limit {
			t.Fatalf("Fetch with limit %d returned %d packets", limit, got)
		}
	}
	if len(fetched) != 100 {
		t.Fatalf("fetched %d packets, want 100", len(fetched))
	}
	for i, p := range fetched {
		if got, want := ID(t, p), fmt.Sprint("emitter/", i); got != want {
			t.Fatalf("packet %d is %s, want %s", i, got, want)
		}
		if p.Traceparent != traceparent {
			t.Errorf("packet %d has traceparent %q", i, p.Traceparent)
		}
		if p.Sequence == 0 || i > 0 && p.Sequence <= fetched[i-1].Sequence {
			t.Errorf("packet %d has sequence %d, which is not above the one before it", i, p.Sequence)
		}
	}
	if more := Fetch(j, nil, 10); len(more) != 0 {
		t.Errorf("an empty journal returned %d packets", len(more))
	}
	j.Ack(fetched)
}

func testStats(t *testing.T, j journal.Journal) {
	var packets Packets
	checkStats(t, j, 0, 0, 0)
	appendPackets(t, j, &packets, 0, 10)
	checkStats(t, j, 10, 0, 0)
	fetched := fetch(t, j, 4)
	volume := packet.VolumeOf(fetched)
	checkStats(t, j, 6, 4, 0)
	if got := j.Stats().Claimed; got != volume {
		t.Errorf("fetched %+v, want %+v", got, volume)
	}
	if got := j.Stats().MemoryBytes; got <= 0 {
		t.Errorf("10 packets hold %d bytes of memory", got)
	}
	j.Ack(fetched[:1])
	checkStats(t, j, 6, 3, 1)
	appendPackets(t, j, &packets, 10, 5)
	checkStats(t, j, 11, 3, 1)
	j.Ack(nil)
	j.Ack(fetched[1:])
	j.Ack(fetch(t, j, 11))
	checkStats(t, j, 0, 0, 15)
	if got := j.Stats().MemoryBytes; got != 0 {
		t.Errorf("an empty journal holds %d bytes of memory", got)
	}
}

func testAcksInAnyOrder(t *testing.T, j journal.Journal) {
	var packets Packets
	const count = 500
	appendPackets(t, j, &packets, 0, count)
	fetched := fetch(t, j, count)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(count, func(a, b int) { fetched[a], fetched[b] = fetched[b], fetched[a] })
	done := 0
	for part := range slices.Chunk(fetched, 7) {
		j.Ack(part)
		done += len(part)
		checkStats(t, j, 0, count-done, done)
	}
	appendPackets(t, j, &packets, count, 1)
	if got := ID(t, fetch(t, j, 1)[0]); got != fmt.Sprint("emitter/", count) {
		t.Errorf("after all acks Fetch returned %s", got)
	}
}

// testReleased appends packets in the buffers of acknowledged packets: a journal that still uses
// those buffers fails by a data race or by wrong bytes.
func testReleased(t *testing.T, j journal.Journal) {
	var packets Packets
	for round := range 50 {
		appendPackets(t, j, &packets, 20*round, 20)
		fetched := fetch(t, j, 20)
		for i, p := range fetched {
			if got, want := ID(t, p), fmt.Sprint("emitter/", 20*round+i); got != want {
				t.Fatalf("round %d: fetched %s, want %s", round, got, want)
			}
		}
		j.Ack(fetched)
	}
	checkStats(t, j, 0, 0, 1000)
}

// testNak checks that returned packets are fetched again first, in their order.
func testNak(t *testing.T, j journal.Journal) {
	var packets Packets
	appendPackets(t, j, &packets, 0, 10)
	checkStats(t, j, 10, 0, 0)
	fetched := fetch(t, j, 6)
	j.Ack(fetched[:2])
	j.Nak(fetched[2:])
	checkStats(t, j, 8, 0, 2)
	select {
	case <-j.Ready():
	default:
		t.Error("Ready does not report returned packets")
	}
	for i, p := range fetch(t, j, 8) {
		if got, want := ID(t, p), fmt.Sprint("emitter/", 2+i); got != want {
			t.Errorf("fetched %s, want %s", got, want)
		}
	}
	checkStats(t, j, 0, 8, 2)
}

func testClose(t *testing.T, j journal.Journal) {
	var packets Packets
	appendPackets(t, j, &packets, 0, 3)
	fetched := fetch(t, j, 2)
	if err := j.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	p := packets.Make(t, "late", "1", 500)
	if n, err := j.Append([]*packet.Packet{p}); n != 0 || !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Append after Close: %d, %v", n, err)
	}
	if err := j.CheckCapacity(1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("CheckCapacity after Close: %v", err)
	}
	checkStats(t, j, 1, 2, 0)
	j.Ack(fetched)
	checkStats(t, j, 1, 0, 2)
}

// testCloseShared checks that Close returns the remaining packets.
func testCloseShared(t *testing.T, j journal.Journal) {
	var packets Packets
	appendPackets(t, j, &packets, 0, 3)
	checkStats(t, j, 3, 0, 0)
	fetched := fetch(t, j, 2)
	if err := j.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	p := packets.Make(t, "late", "1", 500)
	if n, err := j.Append([]*packet.Packet{p}); n != 0 || !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Append after Close: %d, %v", n, err)
	}
	if err := j.CheckCapacity(1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("CheckCapacity after Close: %v", err)
	}
	j.Ack(fetched)
	stats := j.Stats()
	checkSum(t, stats)
	if stats.Returned.Packets != 3 || stats.Acknowledged.Packets != 0 {
		t.Errorf("after Close the statistics are %+v, want 3 returned packets", stats)
	}
}
