package disk

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// fixture opens journals on one crashDisk, one after the other.
type fixture struct {
	disk         *crashDisk
	packets      journaltest.Packets
	pool         packet.Pool
	maxBytes     int64
	memory       int64
	segmentBytes int64
	log          logBuffer
}

func newFixture() *fixture {
	return &fixture{disk: newCrashDisk(), maxBytes: 16 << 20, memory: 16 << 20, segmentBytes: 64 << 10}
}

func (f *fixture) open(t journaltest.T) *Journal {
	t.Helper()
	j, err := Open(f.config(), f.deps(f.disk.process()))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return j
}

func (f *fixture) config() Config {
	return Config{Dir: "/data", MaxBytes: f.maxBytes, MemoryLimitBytes: f.memory}
}

func (f *fixture) deps(files fileSystem) Dependencies {
	return Dependencies{
		Logger: slog.New(slog.NewTextHandler(&f.log, nil)), Pool: &f.pool,
		files: files, segmentBytes: f.segmentBytes,
	}
}

// kill ends the process that has the journal open.
func (f *fixture) kill(j *Journal) {
	f.disk.kill()
	_ = j.Close() // ends the goroutines, which can no longer reach the disk
}

// put appends packets with these ids in one call.
func (f *fixture) put(t journaltest.T, j *Journal, ids ...int) {
	t.Helper()
	if n, err := j.Append(f.make(t, ids...)); n != len(ids) || err != nil {
		t.Fatalf("Append took %d of %d packets: %v", n, len(ids), err)
	}
}

// putWhenFree is put after the compactor has freed enough capacity.
func (f *fixture) putWhenFree(t journaltest.T, j *Journal, ids ...int) {
	t.Helper()
	batch := f.make(t, ids...)
	var bytes int64
	for _, p := range batch {
		bytes += recordBytes(p)
	}
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for j.CheckCapacity(int(bytes)) != nil {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("no capacity became free: %v", j.CheckCapacity(int(bytes)))
		}
	}
	if n, err := j.Append(batch); n != len(batch) || err != nil {
		t.Fatalf("Append took %d of %d packets: %v", n, len(batch), err)
	}
}

func (f *fixture) make(t journaltest.T, ids ...int) []*packet.Packet {
	t.Helper()
	var batch []*packet.Packet
	for _, id := range ids {
		batch = append(batch, f.packets.Make(t, "e", strconv.Itoa(id), 300))
	}
	return batch
}

// idOf returns the number of a packet that make made, and checks its body.
func idOf(t journaltest.T, p *packet.Packet) int {
	t.Helper()
	id, err := strconv.Atoi(strings.TrimPrefix(journaltest.ID(t, p), "e/"))
	if err != nil {
		t.Fatalf("not a packet of this test: %v", err)
	}
	return id
}

// fetchAll fetches all queued packets, including the backlog.
func fetchAll(t journaltest.T, j *Journal) []*packet.Packet {
	t.Helper()
	var fetched []*packet.Packet
	for {
		before := len(fetched)
		fetched = journaltest.Fetch(j, fetched, 100)
		if len(fetched) > before {
			continue
		}
		if j.Stats().Queued.Packets == 0 {
			return fetched
		}
		<-j.Ready()
	}
}

func idsOf(t journaltest.T, packets []*packet.Packet) []int {
	t.Helper()
	ids := make([]int, 0, len(packets))
	for _, p := range packets {
		ids = append(ids, idOf(t, p))
	}
	slices.Sort(ids)
	return ids
}

// upTo returns 0 … n-1.
func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

func same(t journaltest.T, what string, got, want []int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %s, want %s", what, short(got), short(want))
	}
}

func short(ids []int) string {
	if len(ids) > 40 {
		return fmt.Sprintf("%v… (%d)", ids[:40], len(ids))
	}
	return fmt.Sprint(ids)
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBuffer) count(text string) int { return strings.Count(l.String(), text) }
