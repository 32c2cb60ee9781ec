package disk

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aioQueue writes by io_submit and waits for the completion in the runtime's poller, without a
// thread. It has at most one write, and only one goroutine at a time may use it. It is used for
// many files, as io_destroy takes 30 ms.
type aioQueue struct {
	context uintptr // of io_setup; 0 after close
	event   *os.File
	waiter  syscall.RawConn

	// The write in progress.
	request   iocb
	parts     [2]unix.Iovec
	bytes     int64
	submitted bool
	noWait    bool // io_submit must not wait
	result    error
	lost      error // why the result is unknown
}

// errNoDirect reports that the kernel, its policy or the file system does not support such a write,
// which was not begun. The error does not indicate a fault of the disk.
var errNoDirect = errors.New("direct asynchronous writes are not supported")

// iocb is struct iocb of linux/aio_abi.h.
type iocb struct {
	_ uint64 // data
	// rwFlags has the flags in one word; the other is the key, which the kernel sets. The
	// byte order determines which is which.
	rwFlags [2]uint32
	opcode  uint16
	_       int16 // priority
	fd      uint32
	parts   uint64 // address
	count   uint64 // of parts
	offset  int64
	_       uint64
	flags   uint32
	eventFD uint32
}

// ioEvent is struct io_event of linux/aio_abi.h.
type ioEvent struct {
	_      [2]uint64 // data and address of the iocb
	result int64
	_      int64
}

const (
	iocbPWriteV = 8 // IOCB_CMD_PWRITEV
	iocbEventFD = 1 // IOCB_FLAG_RESFD
)

// newAIOQueue returns nil if the kernel or its policy refuses one.
func newAIOQueue() *aioQueue {
	q := new(aioQueue)
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&q.context)), 0); errno != 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		q.close()
		return nil
	}
	q.event = os.NewFile(uintptr(fd), "eventfd")
	if q.waiter, err = q.event.SyscallConn(); err != nil {
		q.close()
		return nil
	}
	q.request = iocb{opcode: iocbPWriteV, flags: iocbEventFD, eventFD: uint32(fd)}
	return q
}

// close waits for a write whose result was lost. It may be called again.
func (q *aioQueue) close() {
	if q.context != 0 {
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, q.context, 0, 0)
		q.context = 0
	}
	if q.event != nil {
		_ = q.event.Close()
	}
}

// directWrite is a write to a file that was opened with O_DIRECT.
type directWrite struct {
	fd     int
	parts  [2][]byte // adjacent, aligned; the second may be empty
	offset int64
	synced bool // to stable storage
	grows  bool // it changes metadata, for which io_submit may wait
}

// write returns after the write, or errNoDirect. If the result is lost, the queue is closed. A
// write that does not change metadata is first tried without waiting in io_submit.
func (q *aioQueue) write(w directWrite) error {
	if !w.grows {
		if err := q.try(w, true); err != errNoDirect && err != io.ErrShortWrite {
			return err
		}
	}
	return q.try(w, false)
}

// try submits the write within the wait for its event, which thus cannot precede the wait.
func (q *aioQueue) try(w directWrite, noWait bool) error {
	if q.context == 0 {
		return errNoDirect
	}
	q.request.fd, q.request.offset = uint32(w.fd), w.offset
	flags := uint32(0)
	if w.synced {
		flags |= unix.RWF_DSYNC
	}
	if q.noWait = noWait; noWait {
		flags |= unix.RWF_NOWAIT
	}
	q.request.rwFlags = [2]uint32{flags, flags}
	q.request.parts, q.request.count, q.bytes = uint64(uintptr(unsafe.Pointer(&q.parts))), 0, 0
	for i, part := range w.parts {
		if len(part) > 0 {
			q.request.count++
		}
		q.parts[i].Base = unsafe.SliceData(part)
		q.parts[i].SetLen(len(part))
		q.bytes += int64(len(part))
	}
	q.submitted, q.lost = false, nil
	err := q.waiter.Read(q.proceed)
	if err == nil {
		err = q.lost
	}
	if err != nil {
		q.close()
		return err
	}
	return q.result
}

// proceed submits the write at first, and later reports whether it is complete.
func (q *aioQueue) proceed(uintptr) (done bool) {
	if !q.submitted {
		q.submitted = true
		q.result = q.submit()
		return q.result != nil
	}
	return q.completed()
}

// submit submits the write. A write that must not wait bypasses the runtime, which would wake its
// monitor after each idle moment, and might take the goroutine's processor away.
func (q *aioQueue) submit() error {
	requests := [1]*iocb{&q.request}
	for {
		var errno syscall.Errno
		if q.noWait {
			_, _, errno = syscall.RawSyscall(unix.SYS_IO_SUBMIT, q.context, 1, uintptr(unsafe.Pointer(&requests)))
		} else {
			_, _, errno = syscall.Syscall(unix.SYS_IO_SUBMIT, q.context, 1, uintptr(unsafe.Pointer(&requests)))
		}
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return directError(errno)
		}
	}
}

// completed takes the result of the write, if it is complete. It never waits.
func (q *aioQueue) completed() bool {
	var event ioEvent
	var noWait unix.Timespec
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_IO_GETEVENTS, q.context, 1, 1,
			uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&noWait)), 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			q.lost = errno
		case n == 0:
			return false
		case event.result < 0:
			q.result = directError(syscall.Errno(-event.result))
		case event.result < q.bytes:
			q.result = io.ErrShortWrite
		default:
			q.result = nil
		}
		return true
	}
}

func directError(errno syscall.Errno) error {
	switch errno {
	case unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.EAGAIN, unix.EOPNOTSUPP:
		return errNoDirect
	default:
		return errno
	}
}

// statNow stats a path that ends with a zero, bypassing the runtime, and does not follow a link.
func statNow(path []byte, found *unix.Statx_t) (ok bool) {
	directory := unix.AT_FDCWD
	_, _, errno := syscall.RawSyscall6(unix.SYS_STATX, uintptr(directory), uintptr(unsafe.Pointer(unsafe.SliceData(path))),
		unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO, uintptr(unsafe.Pointer(found)), 0)
	return errno == 0
}
