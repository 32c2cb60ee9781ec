package disk

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aioQueue asks the kernel to write, and waits for the answer as the runtime
// waits for sockets. A thread that blocks for each of thousands of synced writes
// a second costs more processor time than the writes do. One goroutine at a time
// may use it. It outlives files, since to close one takes 30 ms.
type aioQueue struct {
	context uintptr // of the kernel's asynchronous input and output
	event   *os.File
	waiter  syscall.RawConn

	// Of the write under way.
	request aioRequest
	parts   [2]unix.Iovec
	bytes   int64
	asked   bool
	outcome error
	lost    error // why the outcome is not known
}

// errNoDirect says that the kernel, its policy or the file system does not
// write like that. Nothing is wrong with the disk.
var errNoDirect = errors.New("no direct asynchronous write")

// aioRequest and aioEvent are struct iocb and struct io_event of the kernel's
// linux/aio_abi.h, with names for what is needed.
type aioRequest struct {
	_ uint64 // data
	// writeFlags has the flags in one word and in the other the key, which the
	// kernel does not read. Which is which depends on the order of bytes.
	writeFlags [2]uint32
	operation  uint16
	_          int16 // priority
	file       uint32
	parts      uint64 // address
	count      uint64 // of parts
	offset     int64
	_          uint64
	flags      uint32
	event      uint32
}

type aioEvent struct {
	_      [2]uint64 // data and request
	result int64
	_      int64
}

const (
	aioWriteParts = 8 // IOCB_CMD_PWRITEV
	aioTellEvent  = 1 // IOCB_FLAG_RESFD
)

// newAIOQueue returns nil where there cannot be one.
func newAIOQueue() *aioQueue {
	q := new(aioQueue)
	if _, _, failed := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&q.context)), 0); failed != 0 {
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
	q.request = aioRequest{operation: aioWriteParts, flags: aioTellEvent, event: uint32(fd)}
	return q
}

// close may be called again. A write that is under way ends before it returns.
func (q *aioQueue) close() {
	if q.context != 0 {
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, q.context, 0, 0)
		q.context = 0
	}
	if q.event != nil {
		_ = q.event.Close()
	}
}

// directWrite is what to write into a file that was opened with O_DIRECT.
type directWrite struct {
	fd     int
	parts  [2][]byte // one behind the other, aligned; the last may be empty
	offset int64
	synced bool // to stable storage
}

// write returns when that is done: errNoDirect if it cannot be had at all. When
// the outcome cannot be learned, nothing more is written like that.
//
// The request is made within the wait for its event, which thus cannot come
// before the wait begins.
func (q *aioQueue) write(w directWrite) error {
	if q.context == 0 {
		return errNoDirect
	}
	q.request.file, q.request.offset = uint32(w.fd), w.offset
	q.request.writeFlags = [2]uint32{}
	if w.synced {
		q.request.writeFlags = [2]uint32{unix.RWF_DSYNC, unix.RWF_DSYNC}
	}
	q.request.parts, q.request.count = uint64(uintptr(unsafe.Pointer(&q.parts))), uint64(len(q.parts))
	q.bytes = 0
	for i, part := range w.parts {
		q.parts[i].Base = unsafe.SliceData(part)
		q.parts[i].SetLen(len(part))
		q.bytes += int64(len(part))
	}
	q.asked, q.lost = false, nil
	err := q.waiter.Read(q.proceed)
	if err == nil {
		err = q.lost
	}
	if err != nil {
		q.close()
		return err
	}
	return q.outcome
}

// proceed is called once before the wait and then after each event.
func (q *aioQueue) proceed(uintptr) (done bool) {
	if !q.asked {
		q.asked = true
		q.outcome = q.ask()
		return q.outcome != nil
	}
	return q.ended()
}

func (q *aioQueue) ask() error {
	requests := [1]*aioRequest{&q.request}
	for {
		_, _, failed := unix.Syscall(unix.SYS_IO_SUBMIT, q.context, 1, uintptr(unsafe.Pointer(&requests)))
		switch failed {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return directError(failed)
		}
	}
}

// ended takes the request's outcome if there is one.
func (q *aioQueue) ended() bool {
	var event aioEvent
	var noWait unix.Timespec
	for {
		n, _, failed := unix.Syscall6(unix.SYS_IO_GETEVENTS, q.context, 1, 1,
			uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&noWait)), 0)
		switch {
		case failed == unix.EINTR:
			continue
		case failed != 0:
			q.lost = failed
		case n == 0:
			return false
		case event.result < 0:
			q.outcome = directError(syscall.Errno(-event.result))
		case event.result < q.bytes:
			q.outcome = io.ErrShortWrite
		default:
			q.outcome = nil
		}
		return true
	}
}

func directError(failed syscall.Errno) error {
	switch failed {
	case unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.EAGAIN, unix.EOPNOTSUPP:
		return errNoDirect
	default:
		return failed
	}
}
