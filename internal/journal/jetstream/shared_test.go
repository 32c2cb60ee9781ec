package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// until polls until a condition holds, for a minute at most.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// put appends packets with ids from first on.
func put(t *testing.T, j *Journal, first, count int) {
	t.Helper()
	var packets journaltest.Packets
	var batch []*packet.Packet
	for i := range count {
		batch = append(batch, packets.Make(t, "emitter", strconv.Itoa(first+i), 300))
	}
	if taken, err := j.Append(batch); taken != count || err != nil {
		t.Fatalf("Append took %d of %d packets: %v", taken, count, err)
	}
}

// get fetches count packets.
func get(t *testing.T, j *Journal, count int) (fetched []*packet.Packet) {
	t.Helper()
	until(t, fmt.Sprintf("%d packets are there", count), func() bool {
		fetched = journaltest.Fetch(j, fetched, count-len(fetched))
		return len(fetched) == count
	})
	return fetched
}

// ids returns the packet ids in order.
func ids(packets []*packet.Packet) (all []int) {
	for _, p := range packets {
		id, _ := strconv.Atoi(string(p.PacketID.Raw(p.Body)))
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// stored returns how many envelopes the streams have.
func stored(t *testing.T, j *Journal) (messages uint64) {
	t.Helper()
	for _, p := range j.partitions {
		s, err := j.link.JetStream.Stream(t.Context(), p.stream)
		if err != nil {
			t.Fatal(err)
		}
		messages += s.CachedInfo().State.Msgs
	}
	return messages
}

func TestSharing(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	for name, test := range map[string]func(*testing.T, Config){
		"a clean stop gives back at once":               testCleanStop,
		"a clean stop gives back what is on its way":    testStopWhileReceiving,
		"what has ended is not delivered again":         testPartialReturn,
		"nor is it if the stream does not answer":       testPartialReturnToSilentStream,
		"packets wait while leaders are elected":        testElection,
		"an envelope that comes again is only acked":    testAckedAgain,
		"damage is counted and kept":                    testDamage,
		"other versions are left":                       testOtherVersion,
		"packets that stick are separated":              testSeparation,
		"a result reaches the accepting distributor":    testResults,
		"streams of more partitions are emptied":        testOldPartitions,
		"also of other distributors that run":           testFurtherPartitions,
		"a stream that is deleted is created again":     testStreamDeleted,
		"a consumer that is deleted is created again":   testConsumerDeleted,
		"settings of a stream that change are refused":  testStreamChanged,
		"streams with other settings are refused":       testRefusedStreams,
		"consumers with other settings are refused":     testRefusedConsumers,
		"consumers that hold packets back are refused":  testConsumersThatHoldBack,
		"consumers with tight limits work":              testConsumersWithConcerns,
		"consumers that are paused are reported":        testConsumerPaused,
		"consumers that change are reported":            testConsumerChanged,
		"streams may take smaller messages than NATS":   testSmallMessages,
		"claims that are too short are reported":        testShortClaims,
		"packets that NATS does not take are too large": testTooLarge,
		"a full stream refuses until there is capacity": testFull,
		"nothing is pulled while nothing is fetched":    testIdle,
		"a slow distributor does not hold up others":    testSlowDistributor,
		"memory is bounded":                             testMemory,
		"what comes late is left to others":             testLate,
		"what has expired meanwhile is not fetched":     testExpiredMeanwhile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, testConfig(server.URL(), server.Monitor()))
		})
	}
}

// After a clean stop of one distributor, another one has its packets, and each journal's statistics
// balance.
func testCleanStop(t *testing.T, c Config) {
	a, b := openLasting(t, c), open(t, c)
	put(t, a, 0, 50)
	get(t, a, 0)
	until(t, "all is received", func() bool { journaltest.Fetch(a, nil, 0); return a.Stats().Queued.Packets == 50 })
	fetched := get(t, a, 20)
	a.Release()
	a.Nak(fetched)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if s := a.Stats(); s.Returned.Packets != 50 || s.Queued.Packets+s.Claimed.Packets != 0 {
		t.Errorf("%+v", s)
	}
	if got := takeOver(t, b, 50); !slices.Equal(got, upTo(50)) {
		t.Errorf("the other one got %v", got)
	}
}

// openLasting opens the first journal of a stream. Claims do not expire before they are returned.
func openLasting(t *testing.T, c Config) *Journal {
	t.Helper()
	j := open(t, c)
	lasting := consumerConfig(c.subjectOf(0))
	lasting.AckWait = time.Hour
	if _, err := j.link.JetStream.UpdateConsumer(t.Context(), c.streamOf(0), lasting); err != nil {
		t.Fatal(err)
	}
	j.mu.Lock()
	j.partitions[0].ackWait = lasting.AckWait
	j.mu.Unlock()
	return j
}

// takeOver fetches and acknowledges all packets that other journals returned, and returns the ids.
func takeOver(t *testing.T, j *Journal, packets int) []int {
	t.Helper()
	taken := get(t, j, packets)
	got := ids(taken)
	j.Ack(taken)
	until(t, "the stream is empty", func() bool { return stored(t, j) == 0 })
	return got
}

// A stop returns only the remaining packets of a partly delivered envelope.
func testPartialReturn(t *testing.T, c Config) {
	a, b := openLasting(t, c), open(t, c)
	put(t, a, 0, 30)
	fetched := get(t, a, 30)
	a.Ack(fetched[:11])
	a.Nak(fetched[11:])
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := takeOver(t, b, 19); !slices.Equal(got, upTo(30)[11:]) {
		t.Errorf("the other one got %v", got)
	}
	if more := journaltest.Fetch(b, nil, 1); len(more) > 0 {
		t.Errorf("and then %v", ids(more))
	}
}

// publishRaw publishes a message.
func publishRaw(t *testing.T, j *Journal, data []byte) {
	t.Helper()
	if _, err := j.link.JetStream.Publish(t.Context(), j.partitions[0].subject, data); err != nil {
		t.Fatal(err)
	}
}

func testAckedAgain(t *testing.T, c Config) {
	j := open(t, c)
	data := envelopeOf(t, "other-0-1", 3)
	publishRaw(t, j, data)
	first := get(t, j, 3)
	publishRaw(t, j, data) // stored a second time while the first is claimed
	until(t, "the copy is received", func() bool { journaltest.Fetch(j, nil, 0); return countOf(j, "distributor_jetstream_copies") == 1 })
	j.Ack(first)
	until(t, "both are acknowledged", func() bool { return stored(t, j) == 0 })
	publishRaw(t, j, data) // and a third time after it has ended
	until(t, "the third copy is acknowledged", func() bool { journaltest.Fetch(j, nil, 0); return stored(t, j) == 0 })
	if s := j.Stats(); s.Received.Packets != 3 || s.Acknowledged.Packets != 3 {
		t.Errorf("%+v", s)
	}
}

// countOf returns how many replies of copies are known.
func countOf(j *Journal, _ string) (copies int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.claims {
		copies += len(c.copies)
	}
	return copies
}

func testDamage(t *testing.T, c Config) {
	dir := filepath.Join(t.TempDir(), "quarantine")
	j, err := Open(t.Context(), c, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}, QuarantineDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	data := envelopeOf(t, "other-0-1", 3)
	data[len(data)-3] ^= 1 // in the last record
	publishRaw(t, j, data)
	publishRaw(t, j, []byte("no envelope"))
	publishRaw(t, j, nil)
	taken := get(t, j, 2)
	if got := ids(taken); !slices.Equal(got, upTo(2)) {
		t.Errorf("got %v", got)
	}
	j.Ack(taken)
	until(t, "the stream is empty", func() bool { journaltest.Fetch(j, nil, 0); return stored(t, j) == 0 })
	if s := j.Stats(); s.Damaged.Packets != 3 || s.Received != s.Acknowledged {
		t.Errorf("%+v", s)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("the quarantine has %d files: %v", len(files), err)
	}
}

func testOtherVersion(t *testing.T, c Config) {
	j := open(t, c)
	data := envelopeOf(t, "other-0-1", 3)
	data[4] = envelopeVersion + 1
	publishRaw(t, j, data)
	put(t, j, 0, 1)
	j.Ack(get(t, j, 1))
	until(t, "one envelope is left", func() bool { return stored(t, j) == 1 })
	if s := j.Stats(); s.Received.Packets != 1 || s.Damaged.Packets != 0 {
		t.Errorf("%+v", s)
	}
}

// Slow packets get an envelope of their own, which no other distributor delivers while this one
// lives.
func testSeparation(t *testing.T, c Config) {
	a, b := open(t, c), open(t, c)
	put(t, a, 0, 20)
	fetched := get(t, a, 20)
	a.mu.Lock()
	a.stuckAfter = 0
	a.mu.Unlock()
	journaltest.Fetch(b, nil, 0) // so that b may receive the envelope, too
	a.Ack(fetched[:15])
	until(t, "the rest has a new envelope, which is held", func() bool {
		a.watching.Wake()
		journaltest.Fetch(a, nil, 0)
		return isSeparated(a)
	})
	if more := journaltest.Fetch(b, nil, 10); len(more) > 0 {
		t.Errorf("the other one has %v, too", ids(more))
	}
	a.mu.Lock()
	a.stuckAfter = time.Hour
	a.mu.Unlock()
	a.Ack(fetched[15:18])
	a.Nak(fetched[18:])
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	taken := get(t, b, 2)
	if got := ids(taken); !slices.Equal(got, []int{18, 19}) {
		t.Errorf("the other one got %v", got)
	}
	b.Ack(taken)
	until(t, "the stream is empty", func() bool { return stored(t, b) == 0 })
}

func isSeparated(j *Journal) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.claims {
		if strings.Contains(c.id, "/") && c.reply != "" && !c.moving {
			return true
		}
	}
	return false
}

// An emitter that waits for a delivery gets the result, whichever distributor delivers.
func testResults(t *testing.T, c Config) {
	a, b := open(t, c), open(t, c)
	var packets journaltest.Packets
	results := make(chan packet.DeliveryResult, 2)
	for i := range 2 {
		p := packets.Make(t, "emitter", strconv.Itoa(i), 300)
		p.DeliveryChan = results
		if _, err := a.Append([]*packet.Packet{p}); err != nil {
			t.Fatal(err)
		}
	}
	fetched := get(t, b, 2)
	fetched[0].DeliveryChan <- packet.DeliveryResult{Analyzer: "x"}
	b.Ack(fetched[:1])
	if got := <-results; got.Analyzer != "x" {
		t.Errorf("%+v", got)
	}
	b.Nak(fetched[1:])
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	own := get(t, a, 1)
	own[0].DeliveryChan <- packet.DeliveryResult{Analyzer: "y"}
	a.Ack(own)
	if got := <-results; got.Analyzer != "y" {
		t.Errorf("%+v", got)
	}
}

func testOldPartitions(t *testing.T, c Config) {
	c.Partitions = 3
	a := open(t, c)
	for i := range 9 {
		put(t, a, i, 1)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	c.Partitions = 1
	b := open(t, c)
	taken := get(t, b, 9)
	if got := ids(taken); !slices.Equal(got, upTo(9)) {
		t.Errorf("got %v", got)
	}
	b.Ack(taken)
	put(t, b, 9, 1)
	if streams := len(b.partitions); streams != 3 {
		t.Errorf("the journal knows %d streams", streams)
	}
	b.Ack(get(t, b, 1))
}

func testTooLarge(t *testing.T, c Config) {
	j := open(t, c)
	var packets journaltest.Packets
	large := packets.Make(t, "emitter", "1", 1<<20)
	if n, err := j.Append([]*packet.Packet{large}); n != 0 || !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("%d, %v", n, err)
	}
	put(t, j, 0, 1)
	j.Ack(get(t, j, 1))
}

func testFull(t *testing.T, c Config) {
	c.MaxBytes = 1 << 20
	j := open(t, c)
	var packets journaltest.Packets
	taken, refused := 0, error(nil)
	for refused == nil {
		batch := []*packet.Packet{packets.Make(t, "emitter", strconv.Itoa(taken), 50_000)}
		var n int
		n, refused = j.Append(batch)
		taken += n
	}
	if !errors.Is(refused, journal.ErrFull) || taken < 15 || taken > 21 {
		t.Fatalf("after %d packets of 50 kB: %v", taken, refused)
	}
	if err := j.CheckCapacity(100); !errors.Is(err, journal.ErrFull) {
		t.Errorf("CheckCapacity: %v", err)
	}
	if used := j.Utilization(); used < 0.5 {
		until(t, "the utilization is known", func() bool { return j.Utilization() > 0.5 })
	}
	all := get(t, j, taken)
	j.Ack(all)
	until(t, "there is capacity", func() bool { return j.CheckCapacity(100) == nil })
	put(t, j, 0, 1)
	j.Ack(get(t, j, 1))
}

// A distributor that fetches nothing does not hold packets that another one could deliver.
func testIdle(t *testing.T, c Config) {
	a, b := open(t, c), open(t, c)
	put(t, a, 0, 10)
	get(t, b, 0)
	taken := get(t, b, 10)
	if s := a.Stats(); s.Received.Packets != 0 {
		t.Errorf("%+v", s)
	}
	b.Nak(taken[5:])
	b.mu.Lock()
	b.lastFetch = time.Now().Add(-time.Hour)
	for _, claim := range b.claims {
		claim.received = b.lastFetch
	}
	b.mu.Unlock()
	b.Ack(taken[:5])
	rest := get(t, a, 5)
	if got := ids(rest); !slices.Equal(got, upTo(10)[5:]) {
		t.Errorf("got %v", got)
	}
	a.Ack(rest)
}

// A distributor that fetches slowly leaves the envelopes to one that fetches fast, although it could
// claim as many as all distributors together may.
func testSlowDistributor(t *testing.T, c Config) {
	slow, fast := open(t, c), open(t, c)
	const packets = 1200
	for i := range packets {
		put(t, slow, i, 1)
	}
	delivered, polls := 0, 0
	take := func(j *Journal, limit int) {
		taken := journaltest.Fetch(j, nil, limit)
		delivered += len(taken)
		j.Ack(taken)
	}
	take(slow, 1)
	until(t, "the slow distributor has more than it fetches", func() bool { return slow.Stats().Queued.Packets > 10 })
	until(t, "all packets are delivered", func() bool {
		if polls++; polls%100 == 0 {
			take(slow, 1)
		}
		take(fast, packets)
		return delivered == packets
	})
}

// The memory of packets stays below the limit, while the stream has more packets.
func testMemory(t *testing.T, c Config) {
	writer := open(t, c)
	for i := range 40 {
		var packets journaltest.Packets
		var batch []*packet.Packet
		for k := range 10 {
			batch = append(batch, packets.Make(t, "emitter", strconv.Itoa(10*i+k), 20_000))
		}
		if _, err := writer.Append(batch); err != nil {
			t.Fatal(err)
		}
	}
	c.MemoryLimitBytes = 6 << 20
	j := open(t, c)
	var fetched []*packet.Packet
	for len(fetched) < 400 {
		fetched = journaltest.Fetch(j, fetched, 400-len(fetched))
		if held := j.Stats().MemoryBytes; held > c.MemoryLimitBytes {
			t.Fatalf("%d bytes are held, of %d", held, c.MemoryLimitBytes)
		}
		if s := j.Stats(); s.Queued.Packets == 0 && s.MemoryBytes > c.MemoryLimitBytes/4 {
			j.Ack(fetched[s.Acknowledged.Packets:])
		}
	}
	j.Ack(fetched[j.Stats().Acknowledged.Packets:])
	until(t, "the stream is empty", func() bool { return stored(t, j) == 0 })
}
