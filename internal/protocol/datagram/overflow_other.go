//go:build !linux

package datagram

import "net"

func reportOverflow(*net.UDPConn) {}

func overflowOf([]byte) (dropped uint32, known bool) { return 0, false }
