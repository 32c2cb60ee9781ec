package memory

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

var pool packet.Pool

func packets(sizes ...int) []*packet.Packet {
	var all []*packet.Packet
	for _, size := range sizes {
		all = append(all, pool.New(make([]byte, size), packet.Info{Messages: size%7 + 1}))
	}
	return all
}

func TestQueueIsBoundedInPackets(t *testing.T) {
	j := New(Config{QueuePackets: 3, LimitBytes: 1 << 20})
	taken, err := j.Append(packets(1, 1, 1, 1))
	if taken != 3 || !errors.Is(err, journal.ErrFull) {
		t.Fatalf("%d taken, %v", taken, err)
	}
	if err := j.CheckCapacity(0); !errors.Is(err, journal.ErrFull) {
		t.Errorf("CheckCapacity: %v", err)
	}
	journaltest.Fetch(j, nil, 1) // fetched packets are no longer queued
	if err := j.CheckCapacity(0); err != nil {
		t.Errorf("CheckCapacity: %v", err)
	}
	if taken, err := j.Append(packets(1, 1)); taken != 1 || !errors.Is(err, journal.ErrFull) {
		t.Errorf("%d taken, %v", taken, err)
	}
}

// The capacity of a packet's buffer counts until the packet is acknowledged.
func TestMemoryIsBoundedUntilAcknowledged(t *testing.T) {
	j := New(Config{QueuePackets: 100, LimitBytes: 3 * packet.FootprintOf(1000)})
	if taken, err := j.Append(packets(1000, 600, 1000, 1)); taken != 3 || !errors.Is(err, journal.ErrFull) {
		t.Fatalf("%d taken, %v", taken, err)
	}
	fetched := journaltest.Fetch(j, nil, 100)
	if err := j.CheckCapacity(1000); !errors.Is(err, journal.ErrFull) {
		t.Errorf("CheckCapacity while packets are fetched: %v", err)
	}
	j.Ack(fetched[1:2])
	if err := j.CheckCapacity(1000); err != nil {
		t.Errorf("CheckCapacity for as much as was acknowledged: %v", err)
	}
	if err := j.CheckCapacity(1025); !errors.Is(err, journal.ErrFull) {
		t.Errorf("CheckCapacity for more: %v", err)
	}
	j.Ack(fetched[:1])
	j.Ack(fetched[2:])
	if left := j.Stats().MemoryBytes; left != 0 {
		t.Errorf("%d bytes are left", left)
	}
}

// The limit that the journal is nearest to is named.
func TestLimitIsNamed(t *testing.T) {
	j := New(Config{QueuePackets: 10, LimitBytes: 4 * packet.FootprintOf(100_000)})
	_, _ = j.Append(packets(1, 1, 1))
	if used := j.Utilization(); j.Limit() != "INGEST_BUFFER_SIZE" || used != 0.3 {
		t.Errorf("small packets: %v of %s", used, j.Limit())
	}
	_, _ = j.Append(packets(100_000, 200_000))
	if used := j.Utilization(); j.Limit() != "MEMORY_LIMIT_BYTES" || used <= 0.3 {
		t.Errorf("large packets: %v of %s", used, j.Limit())
	}
}

// Append stops at the first packet over the limit, which preserves the order.
func TestAppendStopsAtTheFirstOverTheLimit(t *testing.T) {
	j := New(Config{QueuePackets: 100, LimitBytes: packet.FootprintOf(1) + packet.FootprintOf(1000)})
	if taken, err := j.Append(packets(1, 5000, 1)); taken != 1 || !errors.Is(err, journal.ErrFull) {
		t.Errorf("%d taken, %v", taken, err)
	}
}

func TestStatsAfterClose(t *testing.T) {
	j := New(Config{QueuePackets: 10, LimitBytes: 1 << 20})
	if _, err := j.Append(packets(1, 2)); err != nil {
		t.Fatal(err)
	}
	fetched := journaltest.Fetch(j, nil, 1)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if taken, err := j.Append(packets(1)); taken != 0 || !errors.Is(err, journal.ErrClosed) {
		t.Errorf("%d taken, %v", taken, err)
	}
	if err := j.CheckCapacity(1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("CheckCapacity: %v", err)
	}
	j.Ack(fetched)
	stats := j.Stats()
	if stats.Accepted.Packets != 2 || stats.Queued.Packets != 1 || stats.Acknowledged.Packets != 1 {
		t.Errorf("stats %+v", stats)
	}
}

// A history is a random sequence of calls of a journal.
type history struct {
	config  Config
	journal *Journal
	fetched []*packet.Packet
	next    uint64
}

// append checks that CheckCapacity agrees with Append.
func (h *history) append(t *rapid.T) {
	batch := packets(rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 5).Draw(t, "sizes")...)
	capacityErr := error(nil)
	if len(batch) > 0 {
		capacityErr = h.journal.CheckCapacity(len(batch[0].Body))
	}
	taken, err := h.journal.Append(batch)
	if (taken == len(batch)) != (err == nil) {
		t.Fatalf("%d of %d taken, %v", taken, len(batch), err)
	}
	if len(batch) > 0 && (taken > 0) != (capacityErr == nil) {
		t.Fatalf("CheckCapacity %v, then %d taken", capacityErr, taken)
	}
}

// fetch checks that packets are fetched in order.
func (h *history) fetch(t *rapid.T) {
	before := len(h.fetched)
	h.fetched = journaltest.Fetch(h.journal, h.fetched, rapid.IntRange(0, 10).Draw(t, "limit"))
	for _, p := range h.fetched[before:] {
		if h.next++; p.Sequence != h.next {
			t.Fatalf("sequence %d, want %d", p.Sequence, h.next)
		}
	}
}

func (h *history) ack(t *rapid.T) {
	if len(h.fetched) > 0 {
		i := rapid.IntRange(0, len(h.fetched)-1).Draw(t, "which")
		h.journal.Ack(h.fetched[i : i+1])
		h.fetched = slices.Delete(h.fetched, i, i+1)
	}
}

// check checks that the statistics are consistent and within the limits.
func (h *history) check(t *rapid.T) {
	stats := h.journal.Stats()
	if stats.Accepted != stats.Queued.Plus(stats.Claimed).Plus(stats.Acknowledged) {
		t.Fatalf("inconsistent stats: %+v", stats)
	}
	if stats.Claimed != packet.VolumeOf(h.fetched) {
		t.Fatalf("claimed %+v, want %+v", stats.Claimed, packet.VolumeOf(h.fetched))
	}
	if stats.Queued.Packets > int64(h.config.QueuePackets) || stats.MemoryBytes > h.config.LimitBytes || stats.MemoryBytes < 0 {
		t.Fatalf("over its limits %+v: %+v", h.config, stats)
	}
}

// TestHistories checks random histories: the statistics are consistent, each packet is
// fetched once and in order, and CheckCapacity agrees with Append.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := Config{
			QueuePackets: rapid.IntRange(1, 20).Draw(t, "packets"),
			LimitBytes:   rapid.Int64Range(1000, 20_000).Draw(t, "bytes"),
		}
		h := &history{config: config, journal: New(config)}
		t.Repeat(map[string]func(*rapid.T){"append": h.append, "fetch": h.fetch, "ack": h.ack, "": h.check})
	})
}

// Concurrent producers and one consumer; all taken packets are fetched.
func TestConcurrentUse(t *testing.T) {
	const producers, each = 4, 500
	j := New(Config{QueuePackets: 50, LimitBytes: 1 << 20})
	var work sync.WaitGroup
	for range producers {
		work.Go(func() {
			for range each {
				for {
					one := packets(10)
					if taken, _ := j.Append(one); taken == 1 {
						break
					}
					one[0].Release()
					_ = j.CheckCapacity(10)
				}
			}
		})
	}
	out := 0
	for out < producers*each {
		<-j.Ready()
		for {
			fetched := journaltest.Fetch(j, nil, 16)
			if len(fetched) == 0 {
				break
			}
			out += len(fetched)
			j.Ack(fetched)
		}
	}
	work.Wait()
	if stats := j.Stats(); stats.Acknowledged.Packets != producers*each || stats.MemoryBytes != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// An emitter that sends more than the capacity is refused before others.
func TestQuotaLimitsANoisyEmitter(t *testing.T) {
	j := New(Config{QueuePackets: 900, LimitBytes: 1 << 30})
	var pool packet.Pool
	put := func(emitter string) error {
		body := fmt.Appendf(nil, `{"emitter_id":%q,"packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, emitter)
		info, err := packet.Check(body, 1)
		if err != nil {
			t.Fatal(err)
		}
		p := pool.New(body, info)
		p.Accepted = time.Unix(1_700_000_000, 0)
		_, err = j.Append([]*packet.Packet{p})
		return err
	}
	if err := put("calm"); err != nil {
		t.Fatal(err)
	}
	noisy := 0
	for put("noisy") == nil {
		noisy++
	}
	if noisy < 700 || noisy > 820 {
		t.Errorf("the noisy emitter holds %d of 900, about 8/9 are wanted", noisy)
	}
	for i := range 50 {
		if err := put("calm"); err != nil {
			t.Fatalf("the calm emitter's packet %d: %v", i, err)
		}
	}
	fetched := journaltest.Fetch(j, nil, 1000)
	j.Ack(fetched)
	if err := put("noisy"); err != nil {
		t.Errorf("after all acks the noisy emitter is refused: %v", err)
	}
}

// The packets of one request count as one for the quota of their emitter, so that a request that
// needs the whole capacity gets it although other emitters were active lately.
func TestQuotaOfAppendAll(t *testing.T) {
	j := New(Config{QueuePackets: 18, LimitBytes: 1 << 20})
	of := func(emitter string, count int) (batch []*packet.Packet) {
		for range count {
			body := fmt.Appendf(nil, `{"emitter_id":%q,"packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, emitter)
			info, err := packet.Check(body, 1)
			if err != nil {
				t.Fatal(err)
			}
			p := pool.New(body, info)
			p.Accepted = time.Now()
			batch = append(batch, p)
		}
		return batch
	}
	for _, emitter := range []string{"a", "b"} {
		if err := j.AppendAll(of(emitter, 1)); err != nil {
			t.Fatal(err)
		}
	}
	j.Ack(journaltest.Fetch(j, nil, 2))
	if err := j.AppendAll(of("a", 18)); err != nil {
		t.Errorf("18 packets of 18: %v", err)
	}
	j.Ack(journaltest.Fetch(j, nil, 18))
	if taken, err := j.Append(of("a", 18)); taken != 16 || !errors.Is(err, journal.ErrFull) {
		t.Errorf("one by one: %d, %v", taken, err)
	}
}
