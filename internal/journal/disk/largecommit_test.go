package disk

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// measuredFiles records the size of the largest write.
type measuredFiles struct {
	fileSystem
	largest *atomic.Int64
}

func (m measuredFiles) Create(path string, size int64) (file, error) {
	f, err := m.fileSystem.Create(path, size)
	return measuredFile{f, m.largest}, err
}

type measuredFile struct {
	file
	largest *atomic.Int64
}

func (m measuredFile) WriteAt(b []byte, offset int64) (int, error) {
	m.largest.Store(max(m.largest.Load(), int64(len(b)))) // one goroutine writes
	return m.file.WriteAt(b, offset)
}

func (m measuredFile) WriteSynced(b []byte, offset int64) error { return writeSynced(m, b, offset) }

// openMeasured opens the journal of large commits.
func (f *fixture) openMeasured(t *testing.T) (j *Journal, largest *atomic.Int64) {
	t.Helper()
	largest = new(atomic.Int64)
	j, err := Open(f.config(), f.deps(measuredFiles{f.disk.process(), largest}))
	if err != nil {
		t.Fatal(err)
	}
	return j, largest
}

// makeLarge makes packets of that many bytes.
func (f *fixture) makeLarge(t *testing.T, packets, size int) (all []*packet.Packet) {
	for id := range packets {
		all = append(all, f.packets.Make(t, "e", strconv.Itoa(id), size))
	}
	return all
}

const (
	largePackets = 30
	largeBytes   = 300 << 10 // packets of each size: together above bytesPerWrite
)

// A commit takes bounded memory in addition to its packets, and stores all of them or none.
func TestLargeCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes, f.memory, f.segmentBytes = 256<<20, 256<<20, 1<<20
		j, largest := f.openMeasured(t)
		writes := 0
		f.disk.failWhen(syscall.EIO, func(operation, path string) bool {
			if operation == "write" && strings.HasSuffix(path, segmentSuffix) {
				writes++
			}
			return operation == "write" && writes == 2 // of the records
		})
		if taken, err := j.Append(f.makeLarge(t, largePackets, largeBytes)); taken != 0 || !errors.Is(err, journal.ErrUnwritable) {
			t.Fatalf("a failed write: %d packets are taken, %v", taken, err)
		}
		f.disk.fail("", nil)
		time.Sleep(time.Minute)
		if err := j.AppendAll(f.makeLarge(t, largePackets, largeBytes)); err != nil {
			t.Fatal(err)
		}
		if largest.Load() > bytesPerWrite {
			t.Errorf("%d bytes are written at once", largest.Load())
		}
		if taken, err := j.Append([]*packet.Packet{f.packets.Make(t, "e", strconv.Itoa(largePackets), 2*bytesPerWrite)}); taken != 1 || err != nil {
			t.Fatal(taken, err)
		}
		f.kill(j)
		j = f.open(t)
		same(t, "after the crash", idsOf(t, fetchAll(t, j)), upTo(largePackets+1))
		j.Close()
	})
}

// A rewrite takes bounded memory: a large segment is rewritten in several steps.
func TestLargeRewrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes, f.memory, f.segmentBytes = 28<<20, 256<<20, 1<<20
		j, largest := f.openMeasured(t)
		if err := j.AppendAll(f.makeLarge(t, largePackets, largeBytes)); err != nil {
			t.Fatal(err)
		}
		held := journaltest.Fetch(j, nil, largePackets)
		names, _ := f.disk.process().List("/data/journal")
		first := names[0]
		for range 30 {
			if err := j.AppendAll(f.makeLarge(t, 1, largeBytes)); err != nil {
				t.Fatal(err)
			}
			j.Ack(fetchAll(t, j))
			synctest.Wait()
		}
		time.Sleep(time.Second) // the acknowledgements are written
		if largest.Load() > bytesPerWrite {
			t.Errorf("%d bytes are written at once", largest.Load())
		}
		if names, _ = f.disk.process().List("/data/journal"); names[0] == first {
			t.Errorf("the first segment is still there: %v", names)
		}
		f.kill(j)
		j = f.open(t)
		same(t, "after the crash", idsOf(t, fetchAll(t, j)), upTo(len(held)))
		j.Close()
	})
}

// longFiles reports segments as those of commits of 3 GiB whose end cannot be read.
type longFiles struct{ fileSystem }

func (l longFiles) Open(path string) (file, error) {
	f, err := l.fileSystem.Open(path)
	return longFile{f}, err
}

type longFile struct{ file }

func (longFile) DataEnd() (int64, error) { return 3 << 30, nil }

// A segment with a commit of several GiB is read.
func TestLongSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, 0, 1, 2)
		f.kill(j)
		j, err := Open(f.config(), f.deps(longFiles{f.disk.process()}))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "of a long segment", idsOf(t, fetchAll(t, j)), upTo(3))
		j.Close()
	})
}
