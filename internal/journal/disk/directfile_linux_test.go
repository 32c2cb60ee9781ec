package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// segmentFixture is a segment on a real disk, with its expected content.
type segmentFixture struct {
	appender
	direct *directFile
	reader *os.File
	want   []byte
}

// newDirectSegment begins a segment, or skips the test if it is not written directly.
func newDirectSegment(t *testing.T, size int64) *segmentFixture {
	t.Helper()
	f := beginSegment(t, t.TempDir(), size)
	if f.direct == nil {
		t.Skip("files in the directory for temporary files are not written directly here")
	}
	return f
}

func beginSegment(t interface {
	rapid.TB
	Cleanup(func())
}, dir string, size int64) *segmentFixture {
	t.Helper()
	f := &segmentFixture{appender: appender{files: new(osFiles), dir: dir, segmentBytes: size}}
	t.Cleanup(func() { f.close() })
	if err := f.begin(1, size); err != nil {
		t.Fatal(err)
	}
	f.direct, _ = f.file.(*directFile)
	reader, err := os.Open(f.segment.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	f.reader, f.want = reader, make([]byte, segmentHeaderBytes)
	if _, err := reader.ReadAt(f.want, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

// commit appends that many bytes, none of which is zero.
func (f *segmentFixture) commit(t rapid.TB, bytes int, synced bool) {
	t.Helper()
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(1 + (len(f.want)+i)%251)
	}
	if err := f.put(b); err != nil {
		t.Fatal(err)
	}
	if err := f.flush(synced); err != nil {
		t.Fatal(err)
	}
	f.want = append(f.want, b...)
}

// check reads the whole file, so that the file is in the page cache at the next write.
func (f *segmentFixture) check(t rapid.TB) {
	t.Helper()
	info, err := f.reader.Stat()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, info.Size())
	if _, err := f.reader.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if len(got) < len(f.want) || !bytes.Equal(got[:len(f.want)], f.want) {
		t.Fatalf("after %d bytes the file of %d bytes has other ones", len(f.want), len(got))
	}
	if rest := bytes.TrimLeft(got[len(f.want):], "\x00"); len(rest) > 0 {
		t.Fatalf("there are bytes %d after the end", len(got)-len(f.want)-len(rest))
	}
	if limit := roundUp(max(f.segmentBytes, int64(len(f.want))), maxAlignment); info.Size() > limit {
		t.Fatalf("the file has %d bytes, and %d are enough", info.Size(), limit)
	}
}

// Commits of any size, synced or not, have the same result as with a plain file: after them the
// file has only zeros, and after the segment's end nothing.
func TestDirectCommitsOfAnySize(t *testing.T) {
	newDirectSegment(t, 1)
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]int64{1, maxAlignment + 1, 64 << 10, zeroBytes, 2*zeroBytes + 1000}).Draw(rt, "allocated")
		f := beginSegment(rt, dir, size)
		defer os.Remove(f.segment.path)
		path := f.segment.path
		for range rapid.IntRange(1, 12).Draw(rt, "commits") {
			around := rapid.SampledFrom([]int{1, maxAlignment, 5 * maxAlignment, zeroBytes}).Draw(rt, "around")
			bytes := max(1, around+rapid.IntRange(-60, 60).Draw(rt, "more"))
			f.commit(rt, bytes, rapid.Bool().Draw(rt, "synced"))
			f.check(rt)
		}
		if f.direct.direct == nil {
			rt.Fatal("the segment is no longer written directly")
		}
		if err := f.close(); err != nil {
			rt.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, f.want) {
			rt.Fatalf("after its end the segment has other bytes: %v", err)
		}
	})
}

// A commit may have several writes that end in an incomplete unit.
func TestDirectCommitOfSeveralWrites(t *testing.T) {
	f := newDirectSegment(t, 1<<20)
	for _, bytes := range []int{100, 2*bytesPerWrite + 100, bytesPerWrite, 1} {
		f.commit(t, bytes, true)
		f.check(t)
	}
	if got := cap(f.buffer); got > bytesPerWrite+maxAlignment {
		t.Errorf("the buffer has %d bytes", got)
	}
}

// After the end there are always written zeros, up to the allocated size and not beyond it, and a
// commit does not write the zeros again.
func TestZerosAreWrittenAhead(t *testing.T) {
	const size = 3 * zeroBytes
	f := newDirectSegment(t, size)
	var growths int
	var before int64
	for len(f.want)+7000 <= size {
		f.commit(t, 7000, true)
		// Allocated bytes that were never written count as a hole.
		hole, err := f.reader.Seek(0, unix.SEEK_HOLE)
		if err != nil {
			t.Fatal(err)
		}
		if hole < int64(len(f.want)) || hole > size {
			t.Fatalf("with %d bytes in commits, %d of %d are written", len(f.want), hole, size)
		}
		if hole > before {
			growths, before = growths+1, hole
		}
	}
	if before != size || growths != 3 {
		t.Errorf("zeros were written ahead %d times, up to %d of %d bytes", growths, before, size)
	}
	f.check(t)
}

// A concurrent reader finds at least the records of earlier commits.
func TestReadersSeeDirectCommits(t *testing.T) {
	f := newDirectSegment(t, 1<<20)
	header := len(f.want)
	var done atomic.Int64
	var reading sync.WaitGroup
	stop := make(chan struct{})
	reading.Go(func() {
		got := make([]byte, 1<<20)
		for {
			select {
			case <-stop:
				return
			default:
			}
			must := done.Load()
			if _, err := f.reader.ReadAt(got, 0); err != nil {
				t.Error(err)
				return
			}
			for i := int64(header); i < must; i++ {
				if got[i] != byte(1+i%251) {
					t.Errorf("byte %d of %d in commits is %d", i, must, got[i])
					return
				}
			}
		}
	})
	for i := range 400 {
		f.commit(t, 1+i*7%2400, i%3 > 0)
		done.Store(int64(len(f.want)))
	}
	close(stop)
	reading.Wait()
	f.check(t)
}

// The next sync covers writes without a sync: the kernel may sync only the bytes of the write that
// requests it.
func TestSyncCoversEarlierDirectWrites(t *testing.T) {
	f := newDirectSegment(t, 1<<20)
	for _, sync := range []func(){
		func() { f.commit(t, 100, true) },
		func() {
			if err := f.file.Sync(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		f.commit(t, 10000, false)
		if !f.direct.unsynced {
			t.Error("a write without a sync counts as synced")
		}
		if sync(); f.direct.unsynced {
			t.Error("a write without a sync was not synced by the next one")
		}
	}
	f.check(t)
}

func TestDirectWriteRequestsSync(t *testing.T) {
	f := newDirectSegment(t, 1<<20)
	for _, synced := range []bool{true, false} {
		f.commit(t, 100, synced)
		// The kernel has overwritten the word that is the key.
		flags := f.direct.queue.request.rwFlags
		if ((flags[0]|flags[1])&unix.RWF_DSYNC != 0) != synced {
			t.Errorf("a write, synced: %t, was requested with the flags %#x", synced, flags)
		}
	}
}

// A file whose direct writes are refused, at first or later, is written through the page cache.
func TestDirectWritesAreRefused(t *testing.T) {
	for name, refuse := range map[string]func(*segmentFixture){
		"the queue is closed": func(f *segmentFixture) { f.direct.queue.close() },
		"the file is not open": func(f *segmentFixture) {
			f.direct.direct.Close()
			f.direct.direct = nil
		},
	} {
		for _, before := range []int{0, 1, 2} {
			t.Run(name, func(t *testing.T) {
				f := newDirectSegment(t, 1<<20)
				for range before {
					f.commit(t, 5000, true)
				}
				refuse(f)
				for i := range 10 {
					f.commit(t, 3000, i%2 == 0)
					f.check(t)
				}
				if f.direct.direct != nil {
					t.Error("each write is tried in vain")
				}
			})
		}
	}
}

// A disk error is returned, and does not cause another way of writing.
func TestDirectErrorIsReturned(t *testing.T) {
	f := newDirectSegment(t, 1<<20)
	f.commit(t, 5000, true)
	if err := f.direct.direct.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.put([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := f.flush(true); err == nil {
			t.Error("a write that failed counts as one that did not")
		}
	}
	f.check(t)
}

// A file in a file system in memory is written through the page cache.
func TestOtherFileSystems(t *testing.T) {
	var stat unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &stat); err != nil || stat.Type != unix.TMPFS_MAGIC {
		t.Skip("no tmpfs at /dev/shm")
	}
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := beginSegment(t, dir, 1<<20)
	if f.direct != nil {
		t.Error("the file is written directly")
	}
	for i := range 10 {
		f.commit(t, 5000, i%2 == 0)
		f.check(t)
	}
}

// Segments share the queue, which is released after the last segment is closed.
func TestQueueIsSharedAndReleased(t *testing.T) {
	newDirectSegment(t, 1)
	files, dir := new(osFiles), t.TempDir()
	before := openFiles(t)
	queues := map[*aioQueue]bool{}
	for _, name := range []string{"a", "b"} {
		f, err := files.Create(filepath.Join(dir, name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		queues[f.(*directFile).queue] = true
		f.Close()
	}
	if len(queues) > 1 {
		t.Error("each file has a queue of its own")
	}
	files.Close()
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors stay open", after-before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
