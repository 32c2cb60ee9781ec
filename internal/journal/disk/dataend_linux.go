package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// maxExtents bounds the search for the end of a file's data.
const maxExtents = 1 << 12

// dataEnd returns the offset after the last byte that is not in a hole, so that a hole
// at the end of a file is not read. It returns size if the file system does not support
// SEEK_DATA or reports more than maxExtents extents.
func dataEnd(f *os.File, size int64) int64 {
	end := int64(0)
	for range maxExtents {
		data, err := unix.Seek(int(f.Fd()), end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return end
		}
		if err != nil {
			return size
		}
		if end, err = unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE); err != nil {
			return size
		}
	}
	return size
}
