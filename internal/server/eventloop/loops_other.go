//go:build !linux || noeventloop

package eventloop

import (
	"net"
	"net/netip"
)

// Loops take no connection.
type Loops struct{}

// Loop is never made.
type Loop struct{}

// Conn is never made.
type Conn struct{}

// New returns no loops.
func New(Dependencies) *Loops { return new(Loops) }

// Add reports that no loop took the connection.
func (*Loops) Add(net.Conn, netip.Addr) bool { return false }

// Sweep does nothing.
func (*Loops) Sweep(int64) {}

// Count returns 0.
func (*Loops) Count() int { return 0 }

// Drain does nothing.
func (*Loops) Drain() {}

// FailReads does nothing.
func (*Loops) FailReads() {}

// Close does nothing.
func (*Loops) Close() {}
