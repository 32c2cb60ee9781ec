//go:build !race

package ingest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// readNow reads from a descriptor that does not block. It returns EAGAIN when
// there is nothing.
func readNow(descriptor int, room []byte) (int, error) {
	return call(unix.SYS_READ, descriptor, unsafe.Pointer(unsafe.SliceData(room)), len(room))
}

// writeNow writes what there is room for to a descriptor that does not block.
func writeNow(descriptor int, text []byte) (int, error) {
	return call(unix.SYS_WRITE, descriptor, unsafe.Pointer(unsafe.SliceData(text)), len(text))
}
