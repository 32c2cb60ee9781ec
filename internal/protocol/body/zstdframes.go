package body

import (
	"math"

	"github.com/klauspost/compress/zstd"
)

// Sizes of RFC 8878, 3.1.1, in bytes.
const (
	zstdBlockHeader = 3
	zstdChecksum    = 4
	zstdRLE         = 1 // the type of a block that is one byte repeated
)

// decodedSize returns the sum of the sizes that frames state, or -1 if a frame states none. It
// returns an error if a frame asks for more memory than a decoder has: the decoder's own error for
// a large window also means a block that is too large. decodedSize reads the headers of frames and
// blocks up to the first invalid one.
func decodedSize(encoded []byte) (size int64, err error) {
	for len(encoded) > 0 {
		var frame zstd.Header
		if frame.Decode(encoded) != nil {
			return -1, nil
		}
		switch {
		case frame.Skippable:
		case frame.WindowSize > zstdWindow:
			return -1, zstd.ErrWindowSizeExceeded
		case !frame.HasFCS || frame.FrameContentSize > math.MaxInt32:
			size = -1
		case size >= 0:
			size += int64(frame.FrameContentSize)
		}
		bytes := frameSize(encoded, &frame)
		if bytes < 0 || bytes > len(encoded) { // negative where int has 32 bits
			return -1, nil
		}
		encoded = encoded[bytes:]
	}
	return size, nil
}

// frameSize returns the size of the frame that encoded begins with; it is more than len(encoded)
// when the frame is truncated.
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
