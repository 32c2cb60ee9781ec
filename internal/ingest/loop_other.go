//go:build !linux

package ingest

import (
	"log/slog"
	"net"
	"net/netip"
)

// loops are only for Linux; elsewhere each connection has a goroutine.
type loops struct{}

func newLoops(*Handler, *Server, *slog.Logger) *loops { return new(loops) }
func (*loops) add(net.Conn, netip.Addr) bool          { return false }
func (*loops) sweep(int64)                            {}
func (*loops) count() int                             { return 0 }
func (*loops) failReads()                             {}
func (*loops) close()                                 {}
