//go:build unix

package native

import (
	"net"
	"syscall"
)

// idleCheck checks that a connection is idle: not closed by the peer, and without unread
// data. A connection that is not a socket always counts as idle.
type idleCheck struct {
	socket syscall.RawConn
	idle   bool
	peeked [1]byte
	peek   func(descriptor uintptr) (done bool) // stored to avoid an allocation for each call
}

// attach sets the connection to check.
func (s *idleCheck) attach(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	s.socket = nil
	if socket, ok := conn.(syscall.Conn); ok {
		s.socket, _ = socket.SyscallConn() // fails if closed; so will the next write
	}
	if s.peek == nil {
		s.peek = func(descriptor uintptr) bool {
			_, _, err := syscall.Recvfrom(int(descriptor), s.peeked[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			s.idle = err == syscall.EAGAIN
			return true
		}
	}
}

// isIdle makes a system call.
func (s *idleCheck) isIdle() bool {
	return s.socket == nil || s.socket.Read(s.peek) == nil && s.idle
}
