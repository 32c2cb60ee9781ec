package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

func newReserved(t *testing.T, path string, size int64) *reservedFile {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	reserved := newReservedFile(f, size).(*reservedFile)
	t.Cleanup(func() { reserved.Close() })
	if reserved.flusher == nil {
		t.Skip("this machine gives no asynchronous sync")
	}
	return reserved
}

// Zeros go where nothing was written yet, and never beyond the reservation.
func TestZerosAreWrittenAhead(t *testing.T) {
	const size = 2*zeroBytes + 1000
	path := filepath.Join(t.TempDir(), "segment")
	f := newReserved(t, path, size)
	want := make([]byte, 0, size)
	for length := 1; len(want)+length <= size; length = length*2 + 7 {
		record := bytes.Repeat([]byte{byte(length)}, length)
		if _, err := f.WriteAt(record, int64(len(want))); err != nil {
			t.Fatal(err)
		}
		want = append(want, record...)
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > size || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 {
			t.Fatalf("after %d bytes the file of %d bytes holds something else", len(want), len(got))
		}
	}
	if _, err := f.WriteAt(make([]byte, size), int64(len(want))); err != nil {
		t.Fatal(err)
	}
	if got, _ := f.Size(); got != int64(len(want))+size {
		t.Errorf("a write beyond the reservation made a file of %d bytes", got)
	}
}

func TestSyncsWithoutThread(t *testing.T) {
	f := newReserved(t, filepath.Join(t.TempDir(), "segment"), 1<<20)
	for i := range 500 {
		if _, err := f.WriteAt([]byte("record"), int64(i*6)); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if f.flusher == nil {
		t.Error("the thread blocks all the same")
	}
}

// What cannot be synced asynchronously is synced with a blocked thread, and its
// error is told.
func TestSyncFallsBack(t *testing.T) {
	f := newReserved(t, "/dev/null", 0)
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("/dev/null is synced with %v", err)
	}
	if f.flusher != nil {
		t.Error("the next sync will be tried in vain as well")
	}
}

func TestSyncOfClosedFileFails(t *testing.T) {
	f := newReserved(t, filepath.Join(t.TempDir(), "segment"), 1<<20)
	if err := f.File.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err == nil {
		t.Error("a closed file was synced")
	}
}

// The kernel reads and writes these by their offsets.
func TestAsynchronousStructures(t *testing.T) {
	var r aioRequest
	var e aioEvent
	for what, offsets := range map[string][2]uintptr{
		"size of a request": {unsafe.Sizeof(r), 64}, "operation": {unsafe.Offsetof(r.operation), 16}, "file": {unsafe.Offsetof(r.file), 20},
		"flags": {unsafe.Offsetof(r.flags), 56}, "event": {unsafe.Offsetof(r.event), 60},
		"size of an event": {unsafe.Sizeof(e), 32}, "result": {unsafe.Offsetof(e.result), 16},
	} {
		if offsets[0] != offsets[1] {
			t.Errorf("%s: %d, want %d", what, offsets[0], offsets[1])
		}
	}
}
