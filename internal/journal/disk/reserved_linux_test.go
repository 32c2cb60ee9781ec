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

// newReserved makes a file as the journal does, or skips the test where files
// are not written directly.
func newReserved(t *testing.T, size int64) *reservedFile {
	t.Helper()
	files := new(osFiles)
	t.Cleanup(files.Close)
	f := reservedBy(t, files, filepath.Join(t.TempDir(), "segment"), size)
	t.Cleanup(func() { f.Close() })
	if f.direct == nil {
		t.Skip("files in " + t.TempDir() + " are not written directly here")
	}
	return f
}

func reservedBy(t rapid.TB, files *osFiles, path string, size int64) *reservedFile {
	t.Helper()
	f, err := files.Create(path, size)
	if err != nil {
		t.Fatal(err)
	}
	return f.(*reservedFile)
}

// appended is a reserved file with what it should hold, as others read it.
type appended struct {
	*reservedFile
	reader *os.File
	want   []byte
}

func openAppended(t interface {
	rapid.TB
	Cleanup(func())
}, f *reservedFile) *appended {
	t.Helper()
	reader, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return &appended{reservedFile: f, reader: reader}
}

func (a *appended) add(t rapid.TB, bytes int, synced bool) {
	t.Helper()
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(1 + (len(a.want)+i)%251)
	}
	var err error
	if synced {
		err = a.WriteSynced(b, int64(len(a.want)))
	} else {
		_, err = a.WriteAt(b, int64(len(a.want)))
	}
	if err != nil {
		t.Fatal(err)
	}
	a.want = append(a.want, b...)
}

// check reads everything, by which the page cache has all of it when the next
// append comes.
func (a *appended) check(t rapid.TB) {
	t.Helper()
	info, err := a.reader.Stat()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, info.Size())
	if _, err := a.reader.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if len(got) < len(a.want) || !bytes.Equal(got[:len(a.want)], a.want) {
		t.Fatalf("after %d bytes the file of %d bytes holds others", len(a.want), len(got))
	}
	if rest := bytes.TrimLeft(got[len(a.want):], "\x00"); len(rest) > 0 {
		t.Fatalf("%d bytes from the end of what was appended there is something", len(got)-len(a.want)-len(rest))
	}
	if limit := wholeBlocks(max(a.size, int64(len(a.want)))); info.Size() > limit {
		t.Fatalf("the file has %d bytes, though %d are enough", info.Size(), limit)
	}
}

// Appends of any size, with a sync or without, make what they make of a plain
// file, with nothing but zeros behind it.
func TestAppendsOfAnySize(t *testing.T) {
	newReserved(t, 1)
	files, path := new(osFiles), filepath.Join(t.TempDir(), "segment")
	defer files.Close()
	rapid.Check(t, func(rt *rapid.T) {
		os.Remove(path)
		size := rapid.SampledFrom([]int64{1, directBlockBytes + 1, 64 << 10, zeroBytes, 2*zeroBytes + 1000}).Draw(rt, "reserved")
		f := reservedBy(rt, files, path, size)
		defer f.Close()
		a := openAppended(rt, f)
		for range rapid.IntRange(1, 12).Draw(rt, "appends") {
			around := rapid.SampledFrom([]int{1, directBlockBytes, 5 * directBlockBytes, zeroBytes}).Draw(rt, "around")
			bytes := max(1, around+rapid.IntRange(-60, 60).Draw(rt, "more"))
			a.add(rt, bytes, rapid.Bool().Draw(rt, "synced"))
			a.check(rt)
		}
		if err := f.Truncate(int64(len(a.want))); err != nil {
			rt.Fatal(err)
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, a.want) {
			rt.Fatalf("cut off behind what was appended, the file holds something else: %v", err)
		}
		if f.direct == nil {
			rt.Fatal("it is not written directly any more")
		}
	})
}

// There is always something behind the end that was written to, up to the end of
// the reservation and not beyond, and not anew with each append.
func TestZerosAreWrittenAhead(t *testing.T) {
	const size = 3 * zeroBytes
	a := openAppended(t, newReserved(t, size))
	var growths int
	var before int64
	for bytes := 40; len(a.want)+bytes <= size; bytes = 7000 {
		a.add(t, bytes, true)
		// What is reserved and was never written to counts as a hole.
		hole, err := a.reader.Seek(0, unix.SEEK_HOLE)
		if err != nil {
			t.Fatal(err)
		}
		if hole < int64(len(a.want)) || hole > size {
			t.Fatalf("with %d bytes appended, %d are written to, of %d", len(a.want), hole, size)
		}
		if hole > before {
			growths, before = growths+1, hole
		}
	}
	if before != size || growths != 3 {
		t.Errorf("zeros were written ahead %d times, up to %d of %d bytes", growths, before, size)
	}
	a.check(t)
}

// Whoever reads while another appends finds at least what was appended before.
func TestReadersSeeAppends(t *testing.T) {
	a := openAppended(t, newReserved(t, 1<<20))
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
			if _, err := a.reader.ReadAt(got, 0); err != nil {
				t.Error(err)
				return
			}
			for i, b := range got[:must] {
				if b != byte(1+i%251) {
					t.Errorf("byte %d of %d that were appended is %d", i, must, b)
					return
				}
			}
		}
	})
	for i := range 400 {
		a.add(t, 1+i*7%3000, i%3 > 0)
		done.Store(int64(len(a.want)))
	}
	close(stop)
	reading.Wait()
}

// What was written without a sync is synced with what follows it: the kernel
// may sync no more than it is asked to.
func TestSyncCoversEarlierAppends(t *testing.T) {
	a := openAppended(t, newReserved(t, 1<<20))
	for _, sync := range []func(){
		func() { a.add(t, 100, true) },
		func() {
			if err := a.Sync(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		a.add(t, 10000, false)
		if !a.unsynced {
			t.Error("an append without a sync counts as synced")
		}
		if sync(); a.unsynced {
			t.Error("an append without a sync was not synced with the next")
		}
	}
	a.check(t)
}

func TestSyncIsAskedFor(t *testing.T) {
	a := openAppended(t, newReserved(t, 1<<20))
	for _, synced := range []bool{true, false} {
		a.add(t, 100, synced)
		// The kernel has overwritten the word that is the key.
		asked := a.queue.request.writeFlags
		if (asked[0]|asked[1] == unix.RWF_DSYNC) != synced {
			t.Errorf("a write with a sync: %t, was asked for with the flags %#x", synced, asked)
		}
	}
}

func TestOnlyAppends(t *testing.T) {
	a := openAppended(t, newReserved(t, 1<<20))
	a.add(t, 5000, true)
	for _, offset := range []int64{0, 4999, 5001} {
		if err := a.WriteSynced([]byte("x"), offset); err == nil {
			t.Errorf("a write at %d passes for an append behind 5000 bytes", offset)
		}
	}
	a.check(t)
}

// Where direct writing cannot be had, or ends being had, the file is written
// all the same.
func TestWritingFallsBack(t *testing.T) {
	for name, refuse := range map[string]func(*reservedFile){
		"no asynchronous writes": func(f *reservedFile) { f.direct.Close(); f.direct, f.queue = nil, nil },
		"memory not aligned":     func(f *reservedFile) { f.buffer = alignedBytes(1 << 20)[1:] },
	} {
		for _, before := range []int{0, 1, 2} {
			t.Run(name, func(t *testing.T) {
				f := newReserved(t, 1<<20)
				a := openAppended(t, f)
				for range before {
					a.add(t, 5000, true)
				}
				refuse(f)
				for i := range 10 {
					a.add(t, 3000, i%2 == 0)
					a.check(t)
				}
				if f.direct != nil {
					t.Error("each write will be tried in vain")
				}
			})
		}
	}
}

// A file system in memory has no use for direct writes.
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
	files := new(osFiles)
	defer files.Close()
	f := reservedBy(t, files, filepath.Join(dir, "segment"), 1<<20)
	defer f.Close()
	if f.direct != nil {
		t.Error("it is written directly")
	}
	a := openAppended(t, f)
	for i := range 10 {
		a.add(t, 5000, i%2 == 0)
		a.check(t)
	}
}

// An error of the disk is told, and is no reason to write in another way.
func TestDirectErrorIsTold(t *testing.T) {
	a := openAppended(t, newReserved(t, 1<<20))
	a.add(t, 5000, true)
	if err := a.direct.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.WriteSynced([]byte("x"), 5000); err == nil {
			t.Error("a write that failed passes for one that did not")
		}
	}
	a.check(t)
}

// Files come and go, and what all of them need is given back at the end.
func TestQueueIsSharedAndGivenBack(t *testing.T) {
	newReserved(t, 1)
	files, dir := new(osFiles), t.TempDir()
	before := openFiles(t)
	queues := map[*aioQueue]bool{}
	for _, name := range []string{"a", "b"} {
		f := reservedBy(t, files, filepath.Join(dir, name), 1<<20)
		if err := f.WriteSynced([]byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		queues[f.queue] = true
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
