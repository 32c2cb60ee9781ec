//go:build !linux || noeventloop

package eventloop

import (
	"net"
	"net/netip"
	"time"
)

// Loops take no connection, so that each is served by a goroutine.
type Loops struct{}

// Loop and Conn are never made.
type (
	Loop struct{}
	Conn struct{}
)

// New returns no loops.
func New(Dependencies) *Loops { return new(Loops) }

func (*Loops) Add(net.Conn, netip.Addr, time.Duration) bool { return false }

func (*Loops) Sweep(int64) {}
func (*Loops) Count() int  { return 0 }
func (*Loops) Drain()      {}
func (*Loops) Release()    {}
func (*Loops) FailReads()  {}
func (*Loops) Close()      {}
