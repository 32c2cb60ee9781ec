package disk

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Unacknowledged packets do not block the removal of segments: a volume far above MaxBytes passes
// through the journal, and the unacknowledged packets are still in it.
func TestUnackedPacketDoesNotFillTheDisk(t *testing.T) {
	f := newFixture()
	f.maxBytes = 1 << 20
	j := f.open(t)
	f.put(t, j, upTo(3)...)
	stuck := journaltest.Fetch(j, nil, 3)
	j.Ack(stuck[1:2])
	for id := 10; id < 20_000; id += 10 {
		f.putWhenFree(t, j, id, id+1, id+2, id+3, id+4, id+5, id+6, id+7, id+8, id+9)
		j.Ack(fetchAll(t, j))
	}
	if got := j.Status().Bytes; got > f.maxBytes {
		t.Errorf("the journal has %d bytes, the limit is %d", got, f.maxBytes)
	}
	f.kill(j)
	j = f.open(t)
	got := idsOf(t, fetchAll(t, j))
	if len(got) < 2 || got[0] != 0 || got[1] != 2 {
		t.Fatalf("after a restart: %s", short(got))
	}
	f.kill(j)

	// Replay finds the copies; they can be rewritten and acknowledged again.
	j = f.open(t)
	found := fetchAll(t, j)
	j.Ack(found[1:])
	left := idOf(t, found[0])
	for id := 30_000; id < 40_000; id += 10 {
		f.putWhenFree(t, j, id, id+1, id+2, id+3, id+4, id+5, id+6, id+7, id+8, id+9)
		j.Ack(fetchAll(t, j))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = f.open(t)
	same(t, "the unacknowledged packet", idsOf(t, fetchAll(t, j)), []int{left})
	j.Close()
}

// A rewritten packet can be acknowledged.
func TestAckAfterRewrite(t *testing.T) {
	f := newFixture()
	f.maxBytes = 1 << 20
	j := f.open(t)
	f.put(t, j, upTo(3)...)
	stuck := journaltest.Fetch(j, nil, 3)
	for id := 10; id < 10_000; id += 10 {
		f.putWhenFree(t, j, id, id+1, id+2, id+3, id+4, id+5, id+6, id+7, id+8, id+9)
		j.Ack(fetchAll(t, j))
	}
	for _, p := range stuck {
		if got := idOf(t, p); got > 2 {
			t.Errorf("a fetched packet became %d", got)
		}
	}
	j.Ack(stuck)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = f.open(t)
	same(t, "after all acks", idsOf(t, fetchAll(t, j)), []int{})
	j.Close()
}

// An acknowledgement during a rewrite survives, although the log has it before the copy.
func TestAckDuringRewrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes = 1 << 20
		j := f.open(t)
		f.put(t, j, upTo(3)...)
		stuck := journaltest.Fetch(j, nil, 3)
		f.disk.mu.Lock()
		f.disk.failure = func(operation, _ string) error {
			if operation == "read" && len(stuck) == 3 {
				acked := stuck[:2]
				stuck = stuck[2:]
				f.disk.mu.Unlock()
				j.Ack(acked)
				f.put(t, j, 5)
				f.disk.mu.Lock()
			}
			return nil
		}
		f.disk.mu.Unlock()
		for id := 10; len(stuck) == 3; id += 10 {
			f.put(t, j, id, id+1, id+2, id+3, id+4, id+5, id+6, id+7, id+8, id+9)
			j.Ack(fetchAll(t, j))
			synctest.Wait()
		}
		j.Ack(fetchAll(t, j))
		j.Close()
		j = f.open(t)
		same(t, "after a restart", idsOf(t, fetchAll(t, j)), []int{2})
		j.Close()
	})
}

// Packets that are read back have their delivery channels again, and no channel stays stored.
func TestDeliveryChansSurviveEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.memory = 1 // no packet stays in memory
		j := f.open(t)
		outcomes := make(chan packet.DeliveryResult, 2)
		packets := f.make(t, 0, 1, 2)
		packets[1].DeliveryChan, packets[2].DeliveryChan = outcomes, outcomes
		if _, err := j.Append(packets); err != nil {
			t.Fatal(err)
		}
		got := fetchAll(t, j)
		for _, p := range got {
			if (p.DeliveryChan != nil) != (idOf(t, p) > 0) {
				t.Errorf("packet %d has the delivery channel %v", idOf(t, p), p.DeliveryChan)
			}
		}
		if len(j.deliveryChans) > 0 {
			t.Errorf("%d delivery channels are still stored", len(j.deliveryChans))
		}
		j.Ack(got)
		j.Close()
	})
}

func TestDeliveryChansAreBounded(t *testing.T) {
	r := make(deliveryChans)
	for sequence := range uint64(maxDeliveryChans + 10) {
		r.save(&packet.Packet{Sequence: sequence, DeliveryChan: make(chan packet.DeliveryResult, 1)})
	}
	last := &packet.Packet{Sequence: maxDeliveryChans + 9}
	if r.restore(last); len(r) != maxDeliveryChans || last.DeliveryChan != nil {
		t.Errorf("%d delivery channels are stored", len(r))
	}
}

func TestFetchAlternates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.memory = 2 << 20
		j := f.open(t)
		const stored = 12_000
		for id := 0; id < stored; id += 10 {
			f.put(t, j, id, id+1, id+2, id+3, id+4, id+5, id+6, id+7, id+8, id+9)
		}
		before := j.backlog.Len()
		var fromBacklog, fresh int
		for id := stored; id < 2*stored; id += 4 {
			f.put(t, j, id, id+1, id+2, id+3)
			synctest.Wait()
			fetched := journaltest.Fetch(j, nil, 4)
			for _, p := range fetched {
				if idOf(t, p) < stored {
					fromBacklog++
				} else {
					fresh++
				}
			}
			if got := j.Stats().MemoryBytes; got > f.memory {
				t.Fatalf("%d bytes in memory, the limit is %d", got, f.memory)
			}
			j.Ack(fetched)
		}
		// The packets that were in memory from the start count as backlog here.
		if before < 2 || fromBacklog < stored/2 || fresh < stored/5 {
			t.Errorf("%d blocks on disk; %d packets of the backlog and %d fresh ones were fetched", before, fromBacklog, fresh)
		}
		for j.Stats().Queued.Packets > 0 {
			synctest.Wait()
			j.Ack(journaltest.Fetch(j, nil, 1000))
		}
		if got := j.Stats(); got.Accepted != got.Acknowledged || got.Accepted.Packets != 2*stored || got.MemoryBytes != 0 {
			t.Errorf("stats: %+v", got)
		}
		j.Close()
	})
}

// appendBacklog appends packets of 1 kB in batches of 500.
func appendBacklog(t *testing.T, j *Journal, pool *packet.Pool, count int) {
	t.Helper()
	body := journaltest.Body("e", "1", 1, 1000)
	info, err := packet.Check(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range count / 500 {
		batch := make([]*packet.Packet, 500)
		for i := range batch {
			batch[i] = pool.New(body, info)
		}
		if n, err := j.Append(batch); n != len(batch) || err != nil {
			t.Fatalf("Append: %d, %v", n, err)
		}
	}
}

// deliverBacklog fetches and acknowledges count packets, and calls check after each 16,000.
func deliverBacklog(j *Journal, count int, check func()) {
	delivered := 0
	var fetched []*packet.Packet
	for delivered < count {
		if fetched = journaltest.Fetch(j, fetched[:0], 200); len(fetched) == 0 {
			<-j.Ready()
		}
		delivered += len(fetched)
		j.Ack(fetched)
		if delivered%16_000 == 0 {
			check()
		}
	}
}

// A backlog of 64 MB respects a memory limit of 4 MB while it grows, after a restart and
// while it is delivered.
func TestBigBacklogStaysOnDisk(t *testing.T) {
	const count, limit, slack = 64_000, 4 << 20, 24 << 20
	dir := t.TempDir()
	var pool packet.Pool
	open := func() *Journal {
		j, err := Open(
			Config{Dir: dir, MaxBytes: 256 << 20, MemoryLimitBytes: limit},
			Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &pool},
		)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	before := heapBytes()
	small := func(when string, j *Journal) {
		t.Helper()
		if got := j.Stats().MemoryBytes; got > limit {
			t.Errorf("%s: packets hold %d bytes, the limit is %d", when, got, limit)
		}
		if got := heapBytes() - before; got > slack {
			t.Errorf("%s: the heap grew by %d bytes", when, got)
		}
	}
	j := open()
	appendBacklog(t, j, &pool, count)
	small("with the backlog", j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open()
	small("after a restart", j)
	deliverBacklog(j, count, func() { small("during delivery", j) })
	if got := j.Stats(); got.Acknowledged.Packets != count || got.Accepted != got.Acknowledged {
		t.Errorf("stats: %+v", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(dir)
	if err != nil || report.Undelivered.Packets != 0 || report.Bytes > 2<<20 {
		t.Errorf("after delivery: %+v, %v", report, err)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Ready reports packets that are read back.
func TestWakeUpsWhenReadBack(t *testing.T) {
	for _, memory := range []int64{1, 20 << 10} {
		f := newFixture()
		f.memory = memory
		j := f.open(t)
		const putters, each = 4, 300
		var putting sync.WaitGroup
		for putter := range putters {
			putting.Go(func() {
				for i := range each {
					f.put(t, j, putter*each+i)
				}
			})
		}
		var ids []int
		for len(ids) < putters*each {
			<-j.Ready()
			for fetched := journaltest.Fetch(j, nil, 7); len(fetched) > 0; fetched = journaltest.Fetch(j, nil, 7) {
				for _, p := range fetched {
					ids = append(ids, idOf(t, p))
				}
				j.Ack(fetched)
			}
		}
		putting.Wait()
		slices.Sort(ids)
		same(t, "delivered", ids, upTo(putters*each))
		j.Close()
	}
}

// The backlog is read back under steady traffic although its next block takes more memory than the
// limit.
func TestBacklogIsReadUnderTrafficWithLittleMemory(t *testing.T) {
	f := newFixture()
	f.memory, f.segmentBytes = 128<<10, 1<<20
	j := f.open(t)
	defer j.Close()
	const backlog = 600  // 180 KB in one block
	f.put(t, j, backlog) // stays in memory
	f.put(t, j, upTo(backlog)...)
	for id, left := backlog+1, map[int]bool{0: true, backlog - 1: true}; len(left) > 0; id++ {
		if id == 20*backlog {
			t.Fatalf("after %d more packets the packets %v are still on disk", id-backlog, left)
		}
		f.putWhenFree(t, j, id) // before the one that is in memory is acknowledged
		fetched := journaltest.Fetch(j, nil, 1)
		for _, p := range fetched {
			delete(left, idOf(t, p))
		}
		j.Ack(fetched)
	}
}

// A large packet at the head of the backlog is read although other packets are in memory.
func TestLargePacketDoesNotBlockTheBacklog(t *testing.T) {
	for _, c := range []struct {
		size   int
		reopen bool // the packets in memory were read back, too
	}{{1 << 20, true}, {1<<20 + 100, false}} {
		synctest.Test(t, func(t *testing.T) { largeFirst(t, c.size, c.reopen) })
	}
}

func largeFirst(t *testing.T, size int, reopen bool) {
	f := newFixture()
	f.memory = int64(3 * size)
	f.segmentBytes = 8 << 20
	f.maxBytes = 64 << 20
	j := f.open(t)
	f.put(t, j, 0)
	if reopen {
		f.kill(j)
		j = f.open(t)
		synctest.Wait()
	}
	stuck := journaltest.Fetch(j, nil, 1) // with an analyzer that does not answer
	for id := range 3 {
		p := f.packets.Make(t, "large", fmt.Sprint(id), size)
		if n, err := j.Append([]*packet.Packet{p}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	f.put(t, j, upTo(500)...)
	for j.Stats().Queued.Packets > 0 {
		synctest.Wait()
		fetched := journaltest.Fetch(j, nil, 100)
		if len(fetched) == 0 {
			t.Errorf("no packet is read back: %+v", j.Stats())
			break
		}
		j.Ack(fetched)
	}
	j.Ack(stuck)
	j.Close()
}
