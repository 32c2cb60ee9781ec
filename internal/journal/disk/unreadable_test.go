package disk

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
)

// badPage is a disk with read errors in one page of some files.
type badPage struct {
	crashFiles
	path   string // path of the file, or "" for all
	offset int64
}

func (b badPage) Open(path string) (file, error) {
	f, err := b.crashFiles.Open(path)
	if err != nil || b.path != "" && b.path != path {
		return f, err
	}
	return badPageFile{f, b.offset}, nil
}

type badPageFile struct {
	file
	bad int64
}

func (f badPageFile) ReadAt(b []byte, offset int64) (int, error) {
	if offset < f.bad+pageBytes && offset+int64(len(b)) > f.bad {
		return 0, syscall.EIO
	}
	return f.file.ReadAt(b, offset)
}

// Open fails if a segment cannot be opened: without it, its sequences would be assigned again.
func TestOpenErrorFailsOpen(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, upTo(100)...)
	f.kill(j)
	for _, cause := range []error{syscall.EMFILE, syscall.EACCES} {
		f.disk.fail("open", cause)
		_, err := Open(f.config(), f.deps(f.disk.process()))
		if !errors.Is(err, cause) {
			t.Errorf("the start with %v: %v", cause, err)
		}
	}
	f.disk.fail("", nil)
	j = f.open(t)
	same(t, "afterwards", idsOf(t, fetchAll(t, j)), upTo(100))
	f.kill(j)
}

// A read error that does not recur is no damage.
func TestTransientReadError(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, upTo(300)...)
	j.Ack(journaltest.Fetch(j, nil, 10))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	reads := 0
	f.disk.failWhen(nil, func(operation, _ string) bool {
		if operation == "read" {
			reads++
		}
		return false
	})
	f.kill(f.open(t))
	for at := range reads {
		read := 0
		f.disk.failWhen(syscall.EIO, func(operation, _ string) bool {
			if operation == "read" {
				read++
			}
			return operation == "read" && read == at+1
		})
		j := f.open(t)
		same(t, fmt.Sprintf("after an error of read %d", at+1), idsOf(t, fetchAll(t, j)), upTo(300)[10:])
		f.kill(j)
	}
	if f.log.count("damage") > 0 {
		t.Errorf("the error is reported as damage: %s", f.log.String())
	}
}

// An unreadable page loses the packets in it, which are reported. They are restored when
// the page is readable again.
func TestUnreadablePage(t *testing.T) {
	const count = 3000
	for _, number := range []uint64{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			f.segmentBytes = 400 << 10
			j := f.open(t)
			for id := 0; id < count; id += 100 {
				f.put(t, j, upTo(count)[id:id+100]...)
			}
			f.kill(j)
			bad := segmentPath("/data/journal", number)
			if f.disk.files[segmentPath("/data/journal", 3)] == nil || f.disk.files[segmentPath("/data/journal", 4)] != nil {
				names, _ := f.disk.process().List("/data/journal")
				t.Fatalf("the segments are %v", names)
			}
			start := func(page int64) *Journal {
				j, err := Open(f.config(), f.deps(badPage{f.disk.process(), bad, page * pageBytes}))
				if err != nil {
					t.Fatal(err)
				}
				return j
			}
			j = start(5)
			got := idsOf(t, fetchAll(t, j))
			lost := count - len(got)
			if lost < 1 || lost > pageBytes/300+2 {
				t.Errorf("segment %d: %d packets are lost to one page", number, lost)
			}
			if reported := j.Status().Quarantined.Packets; reported != int64(lost) {
				t.Errorf("%d packets are lost, %d are reported", lost, reported)
			}
			f.put(t, j, count)
			f.kill(j)
			j = f.open(t)
			same(t, "when it can be read again", idsOf(t, fetchAll(t, j)), upTo(count+1))
			f.kill(j)
			j = start(0)
			j.Ack(fetchAll(t, j))
			synctest.Wait()
			j.Close()
			if f.disk.files["/data/quarantine/"+filepath.Base(bad)] == nil {
				t.Errorf("segment %d was removed, though it could not be read", number)
			}
		})
	}
}

// At the end of the last segment the number of packets in an unreadable page is unknown.
// Their sequences are not assigned again, so that they are valid when the page is readable.
func TestUnreadableEnd(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, upTo(50)...) // in about 20 kB
	f.kill(j)
	j, err := Open(f.config(), f.deps(badPage{f.disk.process(), segmentPath("/data/journal", 1), 4 * pageBytes}))
	if err != nil {
		t.Fatal(err)
	}
	lost := int64(50 - len(fetchAll(t, j)))
	if reported := j.Status().Quarantined.Packets; lost < 1 || reported < lost {
		t.Errorf("%d packets are lost, %d are reported", lost, reported)
	}
	f.put(t, j, 50)
	f.kill(j)
	j = f.open(t)
	same(t, "when it can be read again", idsOf(t, fetchAll(t, j)), upTo(51))
	f.kill(j)
}

// Without free descriptors the backlog waits and is not damage.
func TestBacklogWaitsForDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.memory = 1
		j := f.open(t)
		f.disk.fail("open", syscall.EMFILE)
		f.put(t, j, upTo(20)...)
		time.Sleep(time.Hour)
		if stats := j.Stats(); stats.Queued.Packets != 20 || stats.MemoryBytes != 0 {
			t.Errorf("after an hour: %+v", stats)
		}
		f.disk.fail("", nil)
		got := fetchAll(t, j)
		same(t, "afterwards", idsOf(t, got), upTo(20))
		j.Ack(got)
		if got := j.Status().Quarantined.Packets; got != 0 {
			t.Errorf("%d packets quarantined", got)
		}
		if f.log.count("cannot be read back now") != 1 {
			t.Errorf("the log: %s", f.log.String())
		}
		j.Close()
	})
}

// Reading back a block that the start could not count corrects the statistics.
func TestUncountedBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, upTo(100)...)
		j.Ack(journaltest.Fetch(j, nil, 10))
		time.Sleep(2 * acksDelay)
		f.kill(j)
		reads, opened := 0, false
		f.disk.failWhen(syscall.EIO, func(operation, _ string) bool {
			if operation == "read" {
				reads++
			}
			return operation == "read" && reads > 3 && !opened // after the header, the footer and the records
		})
		j = f.open(t)
		f.disk.mu.Lock()
		opened = true
		f.disk.mu.Unlock()
		got := fetchAll(t, j)
		for len(got) < 90 {
			synctest.Wait()
			time.Sleep(minRetryDelay)
			got = append(got, fetchAll(t, j)...)
		}
		same(t, "what is left", idsOf(t, got), upTo(100)[10:])
		j.Ack(got)
		if stats := j.Stats(); stats.Accepted != stats.Acknowledged || stats.Queued.Packets != 0 || j.liveBytes != 0 {
			t.Errorf("stats: %+v, %d bytes are left", stats, j.liveBytes)
		}
		j.Close()
	})
}

// Bytes that a misdirected write duplicated lose the packet that they overwrote.
func TestDuplicatedBytes(t *testing.T) {
	segments := smallLog(t)
	path := slices.Min(slices.Collect(maps.Keys(segments)))
	damaged := slices.Clone(segments[path])
	at := ends(t, damaged)
	size := at[3] - at[2]
	if at[4]-at[3] != size {
		t.Fatal("records 3 and 4 differ in size")
	}
	copy(damaged[at[3]:at[4]], damaged[at[2]:at[3]]) // record 3 is also at the place of record 4
	f := fixtureWith(with(segments, path, damaged))
	for range 2 {
		j := f.open(t)
		got := fetchAll(t, j)
		same(t, "what is left", idsOf(t, got), []int{1, 2, 4, 5, 6, 7, 8})
		f.kill(j)
	}
	if f.log.count("first_sequence=4 last_sequence=4") == 0 {
		t.Errorf("the log does not name packet 4: %s", f.log.String())
	}
}
