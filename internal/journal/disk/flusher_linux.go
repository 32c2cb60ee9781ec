package disk

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flusher syncs a file without blocking a thread: the kernel does it and tells
// an eventfd, for which the runtime waits as it does for sockets. A thread that
// blocks for each of thousands of syncs a second costs more processor time than
// the syncs do. One goroutine at a time may use it.
type flusher struct {
	context uintptr // of the kernel's asynchronous input and output
	event   *os.File
	waiter  syscall.RawConn
	request aioRequest

	// Of the flush under way.
	asked   bool
	outcome error
}

// errNoFlusher says that this kernel or its policy does not let us.
var errNoFlusher = errors.New("no asynchronous sync")

// aioRequest and aioEvent are struct iocb and struct io_event of the kernel's
// linux/aio_abi.h, with names for what is needed.
type aioRequest struct {
	_         [2]uint64 // data, key and write flags
	operation uint16
	_         int16 // priority
	file      uint32
	_         [4]uint64 // buffer, bytes, offset and reserved
	flags     uint32
	event     uint32
}

type aioEvent struct {
	_      [2]uint64 // data and request
	result int64
	_      int64
}

const (
	aioDataSync  = 3 // IOCB_CMD_FDSYNC
	aioTellEvent = 1 // IOCB_FLAG_RESFD
)

// newFlusher returns nil where there cannot be one.
func newFlusher() *flusher {
	f := new(flusher)
	if _, _, failed := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&f.context)), 0); failed != 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		f.close()
		return nil
	}
	f.event = os.NewFile(uintptr(fd), "eventfd")
	if f.waiter, err = f.event.SyscallConn(); err != nil {
		f.close()
		return nil
	}
	f.request = aioRequest{operation: aioDataSync, flags: aioTellEvent, event: uint32(fd)}
	return f
}

func (f *flusher) close() {
	_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, f.context, 0, 0)
	if f.event != nil {
		_ = f.event.Close()
	}
}

// flush returns when the file's data is on stable storage. The request is made
// within the wait for its event, which thus cannot come before the wait begins.
func (f *flusher) flush(file *os.File) error {
	f.request.file = uint32(file.Fd())
	f.asked = false
	if err := f.waiter.Read(f.proceed); err != nil {
		return err
	}
	return f.outcome
}

// proceed is called once before the wait and then after each event.
func (f *flusher) proceed(uintptr) (done bool) {
	if !f.asked {
		f.asked = true
		f.outcome = f.ask()
		return f.outcome != nil
	}
	done, f.outcome = f.ended()
	return done
}

func (f *flusher) ask() error {
	requests := [1]*aioRequest{&f.request}
	for {
		_, _, failed := unix.Syscall(unix.SYS_IO_SUBMIT, f.context, 1, uintptr(unsafe.Pointer(&requests)))
		switch failed {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.EAGAIN:
			return errNoFlusher
		default:
			return failed
		}
	}
}

// ended takes the request's outcome if there is one.
func (f *flusher) ended() (bool, error) {
	var event aioEvent
	var noWait unix.Timespec
	for {
		n, _, failed := unix.Syscall6(unix.SYS_IO_GETEVENTS, f.context, 1, 1,
			uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&noWait)), 0)
		switch {
		case failed == unix.EINTR:
		case failed != 0:
			return true, failed
		case n == 0:
			return false, nil
		case event.result < 0:
			return true, syscall.Errno(-event.result)
		default:
			return true, nil
		}
	}
}
