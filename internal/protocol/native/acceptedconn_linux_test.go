package native

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptedConn is a copy of the server's end of a connection.
type acceptedConn struct{ descriptor int }

// watch copies the descriptor, which must not change the socket's flags, as
// TCPConn.File may.
func watch(conn net.Conn) *acceptedConn {
	a := &acceptedConn{descriptor: -1}
	control, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return a
	}
	_ = control.Control(func(descriptor uintptr) {
		a.descriptor, _ = unix.FcntlInt(descriptor, unix.F_DUPFD_CLOEXEC, 0)
	})
	return a
}

// awaitRead waits until all sent data was read, or the connection is closed. The kernel notifies
// about neither, so awaitRead polls.
func (a *acceptedConn) awaitRead(given func() bool) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if left, err := unix.IoctlGetInt(a.descriptor, unix.SIOCINQ); err != nil || left == 0 || given() {
			return
		}
		// a runtime timer may take a millisecond, which is too long here
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 50_000}, nil)
	}
}

// forget closes the copy: while it is open, the client sees no end of the connection.
func (a *acceptedConn) forget() {
	if a.descriptor >= 0 {
		_ = unix.Close(a.descriptor)
		a.descriptor = -1
	}
}
