package disk

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"logstreamer/internal/packet"
)

// failWhen makes those operations fail of which when says so.
func (s *crashDisk) failWhen(err error, when func(operation, path string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = func(operation, path string) error {
		if when(operation, path) {
			return err
		}
		return nil
	}
}

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
	j.Ack(j.Claim(nil, 10))
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
			if told := j.Status().SetAside.Packets; told != int64(lost) {
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

// A segment that cannot be moved to quarantine is put out of the way where it is.
func TestQuarantineThatCannotBeUsed(t *testing.T) {
	disk := newCrashDisk()
	files := disk.process()
	if _, err := files.Create("/data/journal/1.segment", 10); err != nil {
		t.Fatal(err)
	}
	disk.fail("mkdir", syscall.EROFS)
	if err := (&quarantine{files: files, dir: "/data/quarantine"}).keepFile("/data/journal/1.segment"); err != nil {
		t.Error(err)
	}
	if names, _ := files.List("/data/journal"); !slices.Equal(names, []string{"1.segment.damaged"}) {
		t.Errorf("the folder holds %v", names)
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
	if told := j.Status().SetAside.Packets; lost < 1 || told < lost {
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
		if got := j.Status().SetAside.Packets; got != 0 {
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
		j.Ack(j.Claim(nil, 10))
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
			time.Sleep(firstRetry)
			got = append(got, claimAll(t, j)...)
		}
		same(t, "what is left", idsOf(t, got), upTo(100)[10:])
		j.Ack(got)
		if stats := j.Stats(); stats.Accepted != stats.Acknowledged || stats.Queued.Packets != 0 || j.live != 0 {
			t.Errorf("books: %+v, %d bytes are left", stats, j.live)
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

// Until a segment can be removed those behind it stay, for they hold its
// acknowledgements, and it counts against the budget.
func TestASegmentThatCannotBeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.disk.fail("remove", syscall.EPERM)
		for id := range 1000 {
			f.put(t, j, id)
			j.Ack(claimAll(t, j))
		}
		time.Sleep(time.Hour)
		if got := f.log.count("cannot be removed"); got != 1 {
			t.Errorf("%d lines tell of it", got)
		}
		if got, onDisk := j.Status().Bytes, f.disk.bytes(); got < onDisk-2*f.segmentBytes { // those reserve room
			t.Errorf("%d bytes count against the budget, and %d are on disk", got, onDisk)
		}
		f.disk.fail("", nil)
		f.disk.kill()
		_ = j.Close()
		j = f.open(t)
		if got := claimAll(t, j); len(got) > 100 { // those whose acknowledgement was not written
			t.Errorf("%d packets are delivered again", len(got))
		}
		j.Ack(claimAll(t, j))
		f.disk.fail("remove", syscall.EPERM)
		for id := range 1000 {
			f.put(t, j, id)
			j.Ack(claimAll(t, j))
		}
		time.Sleep(time.Minute)
		f.disk.fail("", nil)
		time.Sleep(2 * lastRetry)
		synctest.Wait()
		names, _ := f.disk.process().List("/data/journal")
		if got := j.Status().Bytes; len(names) != 1 || got < segmentHeaderBytes || got > f.segmentBytes {
			t.Errorf("left when they can be removed: %v, %d bytes", names, j.Status().Bytes)
		}
		j.Close()
	})
}

// A new segment of which the first write fails goes in its turn. Left behind,
// the gaps around it would be told as loss.
func TestASegmentThatIsNeverWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, 0, 1, 2)
		syncs := 0
		f.disk.failWhen(syscall.EIO, func(operation, path string) bool {
			if operation == "sync" && strings.HasSuffix(path, segmentSuffix) {
				syncs++
				return syncs == 1 || syncs == 3 // not that of the new segment's header
			}
			return false
		})
		for _, id := range []int{900, 901} {
			if _, err := j.Put(f.make(t, id)); err == nil {
				t.Fatal("a commit did not fail")
			}
			time.Sleep(time.Minute)
		}
		for id := range 1000 {
			f.put(t, j, id)
			j.Ack(claimAll(t, j))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = f.open(t)
		if lost := j.Status().SetAside.Packets; lost > 0 {
			t.Errorf("%d packets are told as lost: %s", lost, f.log.String())
		}
		j.Close()
	})
}

// A large packet at the head of the backlog goes although a little is in
// memory, and all behind it.
func TestALargePacketDoesNotHoldUpTheBacklog(t *testing.T) {
	for _, c := range []struct {
		size   int
		reopen bool // what is in memory was read back, too
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
	stuck := j.Claim(nil, 1) // with an analyzer that does not answer
	for id := range 3 {
		p := f.packets.Make(t, "large", fmt.Sprint(id), size)
		if n, err := j.Put([]*packet.Packet{p}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	f.put(t, j, upTo(500)...)
	for j.Stats().Queued.Packets > 0 {
		synctest.Wait()
		claimed := j.Claim(nil, 100)
		if len(claimed) == 0 {
			t.Errorf("nothing moves: %+v", j.Stats())
			break
		}
		j.Ack(claimed)
	}
	j.Ack(stuck)
	j.Close()
}

// What is left is counted to the byte, or a journal that is nearly full would
// seem to hold what is gone, and write itself anew for ever.
func TestAFullJournalIsNotWrittenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes, f.memory = 2<<20, 64<<20
		j := f.open(t)
		for id := 0; ; id++ {
			p := f.packets.Make(t, "e", fmt.Sprint(id), 100)
			p.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			if n, _ := j.Put([]*packet.Packet{p}); n == 0 {
				break
			}
		}
		j.Ack(j.Claim(nil, 1))
		creates := 0
		f.disk.failWhen(nil, func(operation, _ string) bool {
			if operation == "create" {
				creates++
			}
			return false
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if creates > 2 {
			t.Errorf("%d segments are begun while nothing comes", creates)
		}
		claimed := j.Claim(nil, 3000)
		j.Ack(claimed[2999:])
		time.Sleep(2 * acksDelay)
		live := j.live
		f.kill(j)
		f.memory = 1  // what is left is read back only when it is claimed
		j = f.open(t) // which counts it anew
		synctest.Wait()
		if j.live != live {
			t.Errorf("after a start %d bytes are left, and %d before", j.live, live)
		}
		for j.Stats().Queued.Packets > 0 {
			j.Ack(j.Claim(nil, 1000))
			synctest.Wait()
		}
		if j.live != 0 {
			t.Errorf("with nothing left %d bytes are", j.live)
		}
		j.Close()
	})
}

// A straggler that cannot be read for a copy is tried again.
func TestStragglersAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes = 1 << 20
		j := f.open(t)
		f.put(t, j, 0)
		stuck := j.Claim(nil, 1)
		var failed atomic.Bool
		f.disk.failWhen(syscall.EMFILE, func(operation, _ string) bool {
			return operation == "open" && failed.CompareAndSwap(false, true)
		})
		for id := 1; id < 20_000; id++ {
			for j.Room(400) != nil {
				if !failed.Load() {
					t.Fatal("it is full before anything failed")
				}
				time.Sleep(lastRetry)
				synctest.Wait()
			}
			f.put(t, j, id)
			j.Ack(claimAll(t, j))
		}
		if !failed.Load() {
			t.Error("nothing failed")
		}
		j.Ack(stuck)
		j.Close()
	})
}

// Either way of looking for copies ends those of the range and no other.
func TestRangesEndCopies(t *testing.T) {
	for _, r := range []sequenceRange{{3, 2}, {2, 100}, {0, 1}, {9, 5}} {
		x := index{copies: map[uint64]*block{}}
		s := &segment{}
		for sequence := uint64(1); sequence <= 10; sequence++ {
			x.copies[sequence] = newBlock(placed{segment: s, sequence: sequence})
		}
		x.ackRange(r)
		for sequence := uint64(1); sequence <= 10; sequence++ {
			if left := x.copies[sequence] != nil; left == (sequence >= r.first && sequence < r.end()) {
				t.Errorf("range %+v: copy %d is left: %v", r, sequence, left)
			}
		}
	}
}
