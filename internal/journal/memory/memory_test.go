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
	journaltest.Fetch(j, nil, 1) // what is fetched does not wait any more
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

// TestHistories checks random histories: the statistics are consistent, each packet is
// fetched once and in order, and CheckCapacity agrees with Append.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := Config{
			QueuePackets: rapid.IntRange(1, 20).Draw(t, "packets"),
			LimitBytes:   rapid.Int64Range(1000, 20_000).Draw(t, "bytes"),
		}
		j := New(config)
		var fetched []*packet.Packet
		var next uint64
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				batch := packets(rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 5).Draw(t, "sizes")...)
				capacityErr := error(nil)
				if len(batch) > 0 {
					capacityErr = j.CheckCapacity(len(batch[0].Body))
				}
				taken, err := j.Append(batch)
				if (taken == len(batch)) != (err == nil) {
					t.Fatalf("%d of %d taken, %v", taken, len(batch), err)
				}
				if len(batch) > 0 && (taken > 0) != (capacityErr == nil) {
					t.Fatalf("CheckCapacity %v, then %d taken", capacityErr, taken)
				}
			},
			"fetch": func(t *rapid.T) {
				before := len(fetched)
				fetched = journaltest.Fetch(j, fetched, rapid.IntRange(0, 10).Draw(t, "limit"))
				for _, p := range fetched[before:] {
					if next++; p.Sequence != next {
						t.Fatalf("sequence %d, want %d", p.Sequence, next)
					}
				}
			},
			"ack": func(t *rapid.T) {
				if len(fetched) > 0 {
					i := rapid.IntRange(0, len(fetched)-1).Draw(t, "which")
					j.Ack(fetched[i : i+1])
					fetched = slices.Delete(fetched, i, i+1)
				}
			},
			"": func(t *rapid.T) {
				stats := j.Stats()
				if stats.Accepted != stats.Queued.Plus(stats.Claimed).Plus(stats.Acknowledged) {
					t.Fatalf("inconsistent stats: %+v", stats)
				}
				if stats.Claimed != packet.VolumeOf(fetched) {
					t.Fatalf("claimed %+v, want %+v", stats.Claimed, packet.VolumeOf(fetched))
				}
				if stats.Queued.Packets > int64(config.QueuePackets) || stats.MemoryBytes > config.LimitBytes || stats.MemoryBytes < 0 {
					t.Fatalf("over its bounds %+v: %+v", config, stats)
				}
			},
		})
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
