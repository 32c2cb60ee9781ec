package disk

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// A segment that cannot be moved to the quarantine is renamed in its directory.
func TestUnusableQuarantine(t *testing.T) {
	disk := newCrashDisk()
	files := disk.process()
	if _, err := files.Create("/data/journal/1.segment", 10); err != nil {
		t.Fatal(err)
	}
	disk.fail("mkdir", syscall.EROFS)
	if err := (&quarantine{files: files, dir: "/data/quarantine"}).addFile("/data/journal/1.segment"); err != nil {
		t.Error(err)
	}
	if names, _ := files.List("/data/journal"); !slices.Equal(names, []string{"1.segment.damaged"}) {
		t.Errorf("the directory holds %v", names)
	}
}

// A segment that cannot be removed counts against MaxBytes and blocks the removal of later
// ones, which hold its acknowledgements.
func TestRemoveFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.disk.fail("remove", syscall.EPERM)
		for id := range 1000 {
			f.put(t, j, id)
			j.Ack(fetchAll(t, j))
		}
		time.Sleep(time.Hour)
		if got := f.log.count("cannot be removed"); got != 1 {
			t.Errorf("%d log lines about it", got)
		}
		if got, onDisk := j.Status().Bytes, f.disk.bytes(); got < onDisk-2*f.segmentBytes { // segments have unused blocks
			t.Errorf("%d bytes count against the budget, and %d are on disk", got, onDisk)
		}
		f.disk.fail("", nil)
		f.disk.kill()
		_ = j.Close()
		j = f.open(t)
		if got := fetchAll(t, j); len(got) > 100 { // packets whose acknowledgement was not written
			t.Errorf("%d packets are delivered again", len(got))
		}
		j.Ack(fetchAll(t, j))
		f.disk.fail("remove", syscall.EPERM)
		for id := range 1000 {
			f.put(t, j, id)
			j.Ack(fetchAll(t, j))
		}
		time.Sleep(time.Minute)
		f.disk.fail("", nil)
		time.Sleep(2 * maxRetryDelay)
		synctest.Wait()
		names, _ := f.disk.process().List("/data/journal")
		if got := j.Status().Bytes; len(names) != 1 || got < segmentHeaderBytes || got > f.segmentBytes {
			t.Errorf("left when they can be removed: %v, %d bytes", names, j.Status().Bytes)
		}
		j.Close()
	})
}

// A segment whose first write failed is removed in order: otherwise the gaps around it would be
// reported as loss.
func TestSegmentWithoutRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, 0, 1, 2)
		syncs := 0
		f.disk.failWhen(syscall.EIO, func(operation, path string) bool {
			if operation == "sync" && strings.HasSuffix(path, segmentSuffix) {
				syncs++
				return syncs == 1 || syncs == 3 // not the write of the new segment's header
			}
			return false
		})
		for _, id := range []int{900, 901} {
			if _, err := j.Append(f.make(t, id)); err == nil {
				t.Fatal("a commit did not fail")
			}
			time.Sleep(time.Minute)
		}
		for id := range 1000 {
			f.put(t, j, id)
			j.Ack(fetchAll(t, j))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = f.open(t)
		if lost := j.Status().Quarantined.Packets; lost > 0 {
			t.Errorf("%d packets are reported lost: %s", lost, f.log.String())
		}
		j.Close()
	})
}

// liveBytes is exact: otherwise a nearly full journal would rewrite itself without end.
func TestFullJournalIsNotRewritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes, f.memory = 2<<20, 64<<20
		j := f.open(t)
		for id := 0; ; id++ {
			p := f.packets.Make(t, "e", fmt.Sprint(id), 100)
			p.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			if n, _ := j.Append([]*packet.Packet{p}); n == 0 {
				break
			}
		}
		j.Ack(journaltest.Fetch(j, nil, 1))
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
		fetched := journaltest.Fetch(j, nil, 3000)
		j.Ack(fetched[2999:])
		time.Sleep(2 * acksDelay)
		live := j.liveBytes
		f.kill(j)
		f.memory = 1  // the remaining packets are read back only when they are fetched
		j = f.open(t) // which counts the volume again
		synctest.Wait()
		if j.liveBytes != live {
			t.Errorf("after a start %d bytes are left, and %d before", j.liveBytes, live)
		}
		for j.Stats().Queued.Packets > 0 {
			j.Ack(journaltest.Fetch(j, nil, 1000))
			synctest.Wait()
		}
		if j.liveBytes != 0 {
			t.Errorf("with nothing left %d bytes are", j.liveBytes)
		}
		j.Close()
	})
}

// A rewrite that fails with a read error is retried.
func TestRewriteIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes = 1 << 20
		j := f.open(t)
		f.put(t, j, 0)
		stuck := journaltest.Fetch(j, nil, 1)
		var failed atomic.Bool
		f.disk.failWhen(syscall.EMFILE, func(operation, _ string) bool {
			return operation == "open" && failed.CompareAndSwap(false, true)
		})
		for id := 1; id < 20_000; id++ {
			for j.CheckCapacity(400) != nil {
				if !failed.Load() {
					t.Fatal("the journal is full before a read fails")
				}
				time.Sleep(maxRetryDelay)
				synctest.Wait()
			}
			f.put(t, j, id)
			j.Ack(fetchAll(t, j))
		}
		if !failed.Load() {
			t.Error("nothing failed")
		}
		j.Ack(stuck)
		j.Close()
	})
}

// ackCopies acknowledges the copies of the range only, by either iteration.
func TestAckRangeEndsCopies(t *testing.T) {
	for _, r := range []sequenceRange{{3, 2}, {2, 100}, {0, 1}, {9, 5}} {
		x := index{copies: map[uint64]*block{}}
		s := &segment{}
		for sequence := uint64(1); sequence <= 10; sequence++ {
			x.copies[sequence] = newBlock(location{segment: s, sequence: sequence, volume: packet.Volume{Packets: 1}})
		}
		x.ackRange(r)
		for sequence := uint64(1); sequence <= 10; sequence++ {
			if left := x.copies[sequence] != nil; left == (sequence >= r.first && sequence < r.end()) {
				t.Errorf("range %+v: copy %d is left: %v", r, sequence, left)
			}
		}
	}
}
