//go:build !race && !noeventloop

package eventloop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// readNow reads from a descriptor that does not block. It returns EAGAIN if nothing
// can be read.
func readNow(descriptor int, dst []byte) (int, error) {
	return call(unix.SYS_READ, descriptor, unsafe.Pointer(unsafe.SliceData(dst)), len(dst))
}

// writeNow writes as much as the socket's buffer takes to a descriptor that does not
// block.
func writeNow(descriptor int, text []byte) (int, error) {
	return call(unix.SYS_WRITE, descriptor, unsafe.Pointer(unsafe.SliceData(text)), len(text))
}
