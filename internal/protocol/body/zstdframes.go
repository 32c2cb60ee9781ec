package body

import "github.com/klauspost/compress/zstd"

// Sizes of RFC 8878, 3.1.1, in bytes.
const (
	zstdBlockHeader = 3
	zstdChecksum    = 4
	zstdRLE         = 1 // the type of a block that is one byte repeated
)

// hasLargeWindow reports whether a frame asks for more memory than a decoder has.
// It reads the headers of frames and blocks up to the first that is not valid. The
// decoder's own error for a large window also means a block that is too large.
func hasLargeWindow(encoded []byte) bool {
	for len(encoded) > 0 {
		var frame zstd.Header
		if frame.Decode(encoded) != nil {
			return false
		}
		if !frame.Skippable && frame.WindowSize > zstdWindow {
			return true
		}
		size := frameSize(encoded, &frame)
		if size < 0 || size > len(encoded) { // negative where int has 32 bits
			return false
		}
		encoded = encoded[size:]
	}
	return false
}

// frameSize returns the size of the frame that encoded begins with; it is more
// than len(encoded) when the frame is cut off.
func frameSize(encoded []byte, frame *zstd.Header) int {
	size := frame.HeaderSize
	if frame.Skippable {
		return size + int(frame.SkippableSize)
	}
	for last := false; !last; {
		if size+zstdBlockHeader > len(encoded) {
			return len(encoded) + 1
		}
		header := int(encoded[size]) | int(encoded[size+1])<<8 | int(encoded[size+2])<<16
		last = header&1 != 0
		size += zstdBlockHeader
		if header>>1&3 == zstdRLE {
			size++
		} else {
			size += header >> 3
		}
	}
	if frame.HasCheckSum {
		size += zstdChecksum
	}
	return size
}
