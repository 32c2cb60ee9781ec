//go:build !linux || noeventloop

package server

import "github.com/logstreamer/logstreamer/internal/server/eventloop"

func (*echo) NewLoopHandler(*eventloop.Loop) eventloop.Handler { return nil }
