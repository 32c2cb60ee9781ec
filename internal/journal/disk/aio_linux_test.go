package disk

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func newTestQueue(t *testing.T) *aioQueue {
	t.Helper()
	q := newAIOQueue()
	if q == nil {
		t.Skip("io_setup is refused here")
	}
	t.Cleanup(q.close)
	return q
}

// newPipe returns a pipe that accepts only the bytes that fit into it.
func newPipe(t *testing.T) (reader, writer int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// The test uses a pipe to produce failures that are rare on a disk.
func TestQueueReturnsResults(t *testing.T) {
	q := newTestQueue(t)
	reader, writer := newPipe(t)
	write := func(parts ...[]byte) error {
		return q.try(directWrite{fd: writer, parts: [2][]byte(append(parts, nil)[:2])}, false)
	}
	if err := write([]byte("one, "), []byte("two")); err != nil {
		t.Errorf("a write of two parts: %v", err)
	}
	var got [100]byte
	if n, err := unix.Read(reader, got[:]); err != nil || string(got[:n]) != "one, two" {
		t.Errorf("%q was written: %v", got[:n], err)
	}
	if err := write(make([]byte, 1<<20)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a short write: %v", err)
	}
	if err := write([]byte("full")); !errors.Is(err, errNoDirect) {
		t.Errorf("a write that was not begun: %v", err)
	}
	unix.Close(reader)
	if err := write([]byte("broken")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write that failed: %v", err)
	}
	if err := q.write(directWrite{fd: -1, parts: [2][]byte{[]byte("x")}}); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a write to no file: %v", err)
	}
}

// A write that is refused or short, because it would have waited, is made again.
func TestQueueWaitsIfItMust(t *testing.T) {
	q := newTestQueue(t)
	_, writer := newPipe(t)
	large := directWrite{fd: writer, parts: [2][]byte{make([]byte, 1<<20)}}
	if err := q.try(large, true); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a write without waiting: %v", err)
	}
	if q.request.rwFlags[0]|q.request.rwFlags[1] != unix.RWF_NOWAIT {
		t.Errorf("a write without waiting has the flags %#x", q.request.rwFlags)
	}
	for _, grows := range []bool{false, true} {
		large.grows = grows
		if err := q.write(large); !errors.Is(err, errNoDirect) {
			t.Errorf("into a full pipe: %v", err)
		}
		if flags := q.request.rwFlags[0] | q.request.rwFlags[1]; flags&unix.RWF_NOWAIT != 0 {
			t.Errorf("the last write has the flags %#x", flags)
		}
	}
}

// After a write with an unknown result the queue is closed: the write may be incomplete, and its
// event would count as that of the next write.
func TestQueueClosesWhenResultIsLost(t *testing.T) {
	q := newTestQueue(t)
	_, writer := newPipe(t)
	w := directWrite{fd: writer, parts: [2][]byte{[]byte("x")}}
	if err := q.event.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.write(w); err == nil || errors.Is(err, errNoDirect) {
		t.Errorf("a write whose result is unknown: %v", err)
	}
	if err := q.write(w); !errors.Is(err, errNoDirect) {
		t.Errorf("the next write: %v", err)
	}
	q.close()
}

// The kernel uses these fields by their offsets.
func TestAsynchronousStructures(t *testing.T) {
	var r iocb
	var e ioEvent
	for what, offsets := range map[string][2]uintptr{
		"size of iocb": {unsafe.Sizeof(r), 64}, "rwFlags": {unsafe.Offsetof(r.rwFlags), 8},
		"opcode": {unsafe.Offsetof(r.opcode), 16}, "fd": {unsafe.Offsetof(r.fd), 20},
		"parts": {unsafe.Offsetof(r.parts), 24}, "count": {unsafe.Offsetof(r.count), 32}, "offset": {unsafe.Offsetof(r.offset), 40},
		"flags": {unsafe.Offsetof(r.flags), 56}, "eventFD": {unsafe.Offsetof(r.eventFD), 60},
		"size of ioEvent": {unsafe.Sizeof(e), 32}, "result": {unsafe.Offsetof(e.result), 16},
	} {
		if offsets[0] != offsets[1] {
			t.Errorf("%s: %d, want %d", what, offsets[0], offsets[1])
		}
	}
}
