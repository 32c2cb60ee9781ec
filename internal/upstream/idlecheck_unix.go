//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// silence tells whether a connection is as it was left: not closed, and with nothing to
// read. A connection that is no socket is silent.
type idleCheck struct {
	socket syscall.RawConn
	idle   bool
	peeked [1]byte
	peek   func(descriptor uintptr) (done bool) // kept, so that a call allocates nothing
}

// of begins with another connection.
func (s *idleCheck) attach(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	s.socket = nil
	if socket, ok := conn.(syscall.Conn); ok {
		s.socket, _ = socket.SyscallConn() // fails if it is closed, which the next write shows
	}
	if s.peek == nil {
		s.peek = func(descriptor uintptr) bool {
			_, _, err := syscall.Recvfrom(int(descriptor), s.peeked[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			s.idle = err == syscall.EAGAIN
			return true
		}
	}
}

// unbroken asks the system.
func (s *idleCheck) isIdle() bool {
	return s.socket == nil || s.socket.Read(s.peek) == nil && s.idle
}
