//go:build !linux || noeventloop

package native

import "github.com/logstreamer/logstreamer/internal/server/eventloop"

// NewLoopHandler implements server.Protocol. There are no event loops.
func (*Protocol) NewLoopHandler(*eventloop.Loop) eventloop.Handler { return nil }
