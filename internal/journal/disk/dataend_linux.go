package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// maxExtents bounds the search for the end of a file's data.
const maxExtents = 1 << 12

// dataEnd returns the offset behind the last byte of a file that is not in a hole,
// so that a hole of any size at its end takes no time to read. Where the file system
// does not tell, or tells of too many extents, that is the file's size.
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
