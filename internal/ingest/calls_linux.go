package ingest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call makes a system call that never waits, again while signals interrupt it.
// The runtime is not told: when it is, it wakes its monitor if that sleeps, as
// it does in each idle moment. At a moderate rate that is once a packet, which
// then costs a third more.
func call(number uintptr, descriptor int, memory unsafe.Pointer, length int) (int, error) {
	for {
		n, _, failed := syscall.RawSyscall6(number, uintptr(descriptor), uintptr(memory), uintptr(length), 0, 0, 0)
		switch failed {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, failed
		}
	}
}

// readyNow returns how many events an epoll instance has to tell, and which.
func readyNow(epoll int, events []unix.EpollEvent) (int, error) {
	return call(unix.SYS_EPOLL_PWAIT, epoll, unsafe.Pointer(unsafe.SliceData(events)), len(events))
}
