package disk

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func newQueue(t *testing.T) *aioQueue {
	t.Helper()
	q := newAIOQueue()
	if q == nil {
		t.Skip("this machine writes nothing asynchronously")
	}
	t.Cleanup(q.close)
	return q
}

// pipe returns a pipe that takes what fits and no more.
func pipe(t *testing.T) (reader, writer int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// A pipe fails in ways in which a disk does as well, but seldom.
func TestQueueTellsOutcome(t *testing.T) {
	q := newQueue(t)
	reader, writer := pipe(t)
	write := func(parts ...[]byte) error {
		return q.write(directWrite{fd: writer, parts: [2][]byte(append(parts, nil)[:2])})
	}
	if err := write([]byte("one, "), []byte("two")); err != nil {
		t.Errorf("a write of two parts: %v", err)
	}
	var got [100]byte
	if n, err := unix.Read(reader, got[:]); err != nil || string(got[:n]) != "one, two" {
		t.Errorf("%q was written: %v", got[:n], err)
	}
	if err := write(make([]byte, 1<<20)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a write of which half was done: %v", err)
	}
	if err := write([]byte("full")); !errors.Is(err, errNoDirect) {
		t.Errorf("a write that was not done for want of something: %v", err)
	}
	unix.Close(reader)
	if err := write([]byte("broken")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write that failed: %v", err)
	}
	if err := q.write(directWrite{fd: -1}); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a write into no file: %v", err)
	}
}

// A write whose outcome is not known may still be under way, and its event would
// pass for the next one's.
func TestQueueEndsWhenOutcomeIsLost(t *testing.T) {
	q := newQueue(t)
	_, writer := pipe(t)
	w := directWrite{fd: writer, parts: [2][]byte{[]byte("x")}}
	if err := q.event.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.write(w); err == nil || errors.Is(err, errNoDirect) {
		t.Errorf("a write of which nobody can tell: %v", err)
	}
	if err := q.write(w); !errors.Is(err, errNoDirect) {
		t.Errorf("the next write: %v", err)
	}
	q.close()
}

// The kernel reads and writes these by their offsets.
func TestAsynchronousStructures(t *testing.T) {
	var r aioRequest
	var e aioEvent
	for what, offsets := range map[string][2]uintptr{
		"size of a request": {unsafe.Sizeof(r), 64}, "flags of the write": {unsafe.Offsetof(r.writeFlags), 8},
		"operation": {unsafe.Offsetof(r.operation), 16}, "file": {unsafe.Offsetof(r.file), 20},
		"parts": {unsafe.Offsetof(r.parts), 24}, "count": {unsafe.Offsetof(r.count), 32}, "offset": {unsafe.Offsetof(r.offset), 40},
		"flags": {unsafe.Offsetof(r.flags), 56}, "event": {unsafe.Offsetof(r.event), 60},
		"size of an event": {unsafe.Sizeof(e), 32}, "result": {unsafe.Offsetof(e.result), 16},
	} {
		if offsets[0] != offsets[1] {
			t.Errorf("%s: %d, want %d", what, offsets[0], offsets[1])
		}
	}
}
