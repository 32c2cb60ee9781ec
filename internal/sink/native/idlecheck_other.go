//go:build !unix

package native

import "net"

// idleCheck always reports idle on this platform.
type idleCheck struct{}

func (*idleCheck) attach(net.Conn) {}
func (*idleCheck) isIdle() bool    { return true }
