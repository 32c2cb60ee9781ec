//go:build !noeventloop

package eventloop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call makes a system call that never waits, and repeats it while signals interrupt it.
// It bypasses the runtime, which would wake its monitor if that sleeps, as it does in
// each idle moment: at a moderate rate once a packet, for a third more processor time.
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

// readyNow fetches the ready events of an epoll instance.
func readyNow(epoll int, events []unix.EpollEvent) (int, error) {
	return call(unix.SYS_EPOLL_PWAIT, epoll, unsafe.Pointer(unsafe.SliceData(events)), len(events))
}
