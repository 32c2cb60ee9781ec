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

// badPage is a disk of which one page of some files cannot be read.
type badPage struct {
	crashFiles
	path   string // of the file, or "" for all
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

// A segment that cannot be opened is whole, as far as is known: a start that
// went on without it would take what is in it for never accepted.
func TestASegmentThatCannotBeOpenedStopsTheStart(t *testing.T) {
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
	same(t, "afterwards", idsOf(t, claimAll(t, j)), upTo(100))
	f.kill(j)
}

// What cannot be read once, and then can, is no damage.
func TestOneReadErrorAtTheStartCostsNothing(t *testing.T) {
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
		same(t, fmt.Sprintf("after an error of read %d", at+1), idsOf(t, claimAll(t, j)), upTo(300)[10:])
		f.kill(j)
	}
	if f.log.count("damage") > 0 {
		t.Errorf("it is told as damage: %s", f.log.String())
	}
}

// A page that the disk cannot read costs the packets in it, wherever it is, and
// those are told. What it held comes back when it can be read again.
func TestAnUnreadablePage(t *testing.T) {
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
			got := idsOf(t, claimAll(t, j))
			lost := count - len(got)
			if lost < 1 || lost > pageBytes/300+2 {
				t.Errorf("segment %d: %d packets are lost to one page", number, lost)
			}
			if told := j.Status().Quarantined.Packets; told != int64(lost) {
				t.Errorf("%d packets are lost, %d are told", lost, told)
			}
			f.put(t, j, count)
			f.kill(j)
			j = f.open(t)
			same(t, "when it can be read again", idsOf(t, claimAll(t, j)), upTo(count+1))
			f.kill(j)
			j = start(0)
			j.Ack(claimAll(t, j))
			synctest.Wait()
			j.Close()
			if f.disk.files["/data/quarantine/"+filepath.Base(bad)] == nil {
				t.Errorf("segment %d was removed, though it could not be read", number)
			}
		})
	}
}

// At the end of the newest segment nothing follows that tells how many packets
// were in a page. None of their sequences is given again, or they would be
// taken for never accepted when the page can be read again.
func TestAnUnreadableEnd(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, upTo(50)...) // in some 20 kB
	f.kill(j)
	j, err := Open(f.config(), f.deps(badPage{f.disk.process(), segmentPath("/data/journal", 1), 4 * pageBytes}))
	if err != nil {
		t.Fatal(err)
	}
	lost := int64(50 - len(claimAll(t, j)))
	if told := j.Status().Quarantined.Packets; lost < 1 || told < lost {
		t.Errorf("%d packets are lost, %d are told", lost, told)
	}
	f.put(t, j, 50)
	f.kill(j)
	j = f.open(t)
	same(t, "when it can be read again", idsOf(t, claimAll(t, j)), upTo(51))
	f.kill(j)
}

// When descriptors are used up nothing is wrong with the disk: packets wait.
func TestPacketsWaitWhileTheirSegmentCannotBeOpened(t *testing.T) {
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
		got := claimAll(t, j)
		same(t, "afterwards", idsOf(t, got), upTo(20))
		j.Ack(got)
		if got := j.Status().Quarantined.Packets; got != 0 {
			t.Errorf("%d packets set aside", got)
		}
		if f.log.count("cannot be read back now") != 1 {
			t.Errorf("the log: %s", f.log.String())
		}
		j.Close()
	})
}

// A block of which the start could not count what is left is read back, and
// the books are right then.
func TestBlocksThatWereNotCounted(t *testing.T) {
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
			return operation == "read" && reads > 2 && !opened
		})
		j = f.open(t)
		f.disk.mu.Lock()
		opened = true
		f.disk.mu.Unlock()
		got := claimAll(t, j)
		for len(got) < 90 {
			synctest.Wait()
			time.Sleep(minRetryDelay)
			got = append(got, claimAll(t, j)...)
		}
		same(t, "what is left", idsOf(t, got), upTo(100)[10:])
		j.Ack(got)
		if stats := j.Stats(); stats.Accepted != stats.Acknowledged || stats.Queued.Packets != 0 || j.liveBytes != 0 {
			t.Errorf("books: %+v, %d bytes are left", stats, j.liveBytes)
		}
		j.Close()
	})
}

// A piece of a segment that stands there twice, as a misdirected write leaves
// it, costs the packet in whose place it stands.
func TestAPieceThatStandsThereTwice(t *testing.T) {
	segments := smallLog(t)
	path := slices.Min(slices.Collect(maps.Keys(segments)))
	damaged := slices.Clone(segments[path])
	at := ends(t, damaged)
	size := at[3] - at[2]
	if at[4]-at[3] != size {
		t.Fatal("records 3 and 4 differ in size")
	}
	copy(damaged[at[3]:at[4]], damaged[at[2]:at[3]]) // 3 stands in the place of 4, too
	f := fixtureWith(with(segments, path, damaged))
	for range 2 {
		j := f.open(t)
		got := claimAll(t, j)
		same(t, "what is left", idsOf(t, got), []int{1, 2, 4, 5, 6, 7, 8})
		f.kill(j)
	}
	if f.log.count("first_sequence=4 last_sequence=4") == 0 {
		t.Errorf("the log does not name packet 4: %s", f.log.String())
	}
}
