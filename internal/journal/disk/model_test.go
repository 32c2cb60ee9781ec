package disk

import (
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// TestModel compares a journal on a crashDisk with a set of ids in random histories: after
// each crash the journal has the unacknowledged packets, and none that was never appended.
func TestModel(t *testing.T) {
	// In a bubble, retries and delays take no real time.
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			m := newModel(rt)
			defer m.end(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"put":   m.put,
				"claim": m.claim,
				"ack":   m.ack,
				"wait":  func(*rapid.T) { time.Sleep(3 * time.Second) },
				"fail":  m.failDisk,
				"kill":  func(rt *rapid.T) { m.disk.kill(); m.restart(rt, false) },
				"crash": func(rt *rapid.T) {
					m.disk.crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "crash"), 0)))
					m.restart(rt, false)
				},
				"close": func(rt *rapid.T) { m.restart(rt, !m.failed) },
				"":      m.check,
			})
		})
	})
}

type model struct {
	*fixture
	t       *rapid.T
	journal *Journal
	nextID  int
	owed    map[int]bool // taken, not acknowledged: must be stored
	maybe   map[int]bool // acknowledged before a crash, or refused: may be stored
	fetched []*packet.Packet
	failing bool // now
	failed  bool // at any time since the journal was opened
}

func newModel(t *rapid.T) *model {
	m := &model{fixture: newFixture(), t: t, owed: map[int]bool{}, maybe: map[int]bool{}}
	m.maxBytes = 1 << 20
	m.segmentBytes = rapid.SampledFrom([]int64{2 << 10, 8 << 10, 64 << 10}).Draw(t, "segment")
	m.disk.alignment = rapid.SampledFrom([]int{1, maxAlignment}).Draw(t, "alignment")
	m.memory = rapid.SampledFrom([]int64{1, 20 << 10, 1 << 20}).Draw(t, "memory")
	m.journal = m.open(t)
	return m
}

func (m *model) put(t *rapid.T) {
	ids := make([]int, rapid.IntRange(1, 12).Draw(t, "packets"))
	for i := range ids {
		ids[i] = m.nextID
		m.nextID++
	}
	batch := m.make(t, ids...)
	taken, err := m.journal.Append(batch)
	if (err == nil) != (taken == len(ids)) || errors.Is(err, journal.ErrUnwritable) && !m.failing {
		t.Fatalf("Append took %d of %d: %v", taken, len(ids), err)
	}
	for i, id := range ids {
		if i < taken {
			m.owed[id] = true
		} else {
			m.maybe[id] = true
		}
	}
}

func (m *model) claim(t *rapid.T) {
	synctest.Wait()
	found := journaltest.Fetch(m.journal, nil, rapid.IntRange(1, 30).Draw(t, "limit"))
	for _, p := range found {
		m.note(t, idOf(t, p))
	}
	m.fetched = append(m.fetched, found...)
}

// note checks that a packet may be stored.
func (m *model) note(t *rapid.T, id int) {
	if !m.owed[id] && !m.maybe[id] {
		t.Fatalf("unexpected packet %d", id)
	}
}

func (m *model) ack(t *rapid.T) {
	if len(m.fetched) == 0 {
		t.Skip("nothing is fetched")
	}
	shuffled := rapid.Permutation(m.fetched).Draw(t, "order")
	n := rapid.IntRange(1, len(shuffled)).Draw(t, "acks")
	m.finish(t, shuffled[:n])
	m.fetched = slices.Clone(shuffled[n:])
}

func (m *model) failDisk(t *rapid.T) {
	operation := rapid.SampledFrom([]string{"", "write", "sync", "truncate", "create", "remove"}).Draw(t, "operation")
	m.disk.fail(operation, syscall.EIO)
	m.failing = operation != ""
	m.failed = m.failed || m.failing
	if !m.failing {
		time.Sleep(2 * maxRetryDelay)
	}
}

// restart closes the journal, which has no effect on the disk after a crash, and opens it.
// It must have the packets of owed, and after a clean close no others.
func (m *model) restart(t *rapid.T, clean bool) {
	_ = m.journal.Close()
	m.disk.fail("", nil)
	m.failing, m.failed = false, false
	m.fetched = nil
	m.journal = m.open(t)
	found := m.stored(t)
	for id := range m.owed {
		if !found[id] {
			t.Fatalf("packet %d was taken and is lost", id)
		}
	}
	if clean && len(found) > len(m.owed) {
		t.Fatalf("%d packets came back after a clean close, want %d", len(found), len(m.owed))
	}
	m.owed = found
}

// stored returns the unacknowledged packets on disk.
func (m *model) stored(t *rapid.T) map[int]bool {
	synctest.Wait() // nothing is written or removed
	compareBooks(t, m.disk.process())
	r := &replay{files: m.disk.process(), dir: "/data/journal"}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	found := map[int]bool{}
	unusable, err := r.undelivered(func(r record) error {
		info, err := packet.Check(r.body, 10)
		id := idOf(t, new(packet.Pool).New(r.body, info))
		if found[id] {
			t.Fatalf("packet %d is there twice", id)
		}
		m.note(t, id)
		found[id] = true
		return err
	})
	if err != nil || unusable > 0 {
		t.Fatalf("%d packets cannot be used: %v", unusable, err)
	}
	return found
}

func (m *model) check(t *rapid.T) {
	stats := m.journal.Stats()
	if sum := stats.Queued.Plus(stats.Claimed).Plus(stats.Acknowledged); sum != stats.Accepted {
		t.Fatalf("accepted %+v, but the sum is %+v", stats.Accepted, sum)
	}
	if got := int(stats.Queued.Packets + stats.Claimed.Packets); got != len(m.owed) {
		t.Fatalf("%d packets are left, want %d", got, len(m.owed))
	}
}

// end fetches and acknowledges all remaining packets.
func (m *model) end(t *rapid.T) {
	m.finish(t, m.fetched)
	for m.journal.Stats().Queued.Packets > 0 {
		found := journaltest.Fetch(m.journal, nil, 100)
		if len(found) == 0 {
			<-m.journal.Ready()
		}
		m.finish(t, found)
	}
	if len(m.owed) > 0 {
		t.Errorf("%d packets were taken and never came", len(m.owed))
	}
	_ = m.journal.Close()
}

// finish acknowledges packets.
func (m *model) finish(t *rapid.T, packets []*packet.Packet) {
	for _, p := range packets {
		id := idOf(t, p)
		m.note(t, id)
		delete(m.owed, id)
		m.maybe[id] = true
	}
	m.journal.Ack(packets)
}
