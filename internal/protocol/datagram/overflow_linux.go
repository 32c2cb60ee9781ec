package datagram

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// reportOverflow makes the kernel attach its count of dropped datagrams to each datagram.
func reportOverflow(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	})
}

// overflowOf returns the attached count, if there is one.
func overflowOf(control []byte) (dropped uint32, known bool) {
	for len(control) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0, false
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SO_RXQ_OVFL && len(data) >= 4 {
			return binary.NativeEndian.Uint32(data), true
		}
		control = rest
	}
	return 0, false
}
