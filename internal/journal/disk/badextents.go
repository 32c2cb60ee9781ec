package disk

import (
	"errors"
	"io"
)

// holes are the parts of a file that its disk cannot read.
type badExtents struct {
	extents []extent // rising, not overlapping
	cause   error    // the first
}

// extent is a run of bytes of a file.
type extent struct{ from, to int64 }

const (
	pageBytes = 4096
	// badPagesInRow is after how many pages that cannot be read the rest of what
	// was asked for is given up: a disk may take seconds to fail each.
	maxBadPages = 16
)

// read fills b as ReadAt does. After an error it asks for each page alone;
// zeros stand for those that cannot be read, which are noted.
func (h *badExtents) read(source io.ReaderAt, b []byte, offset int64) (int, error) {
	n, err := source.ReadAt(b, offset)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	bad := 0
	for at := 0; at < len(b); {
		size := min(len(b)-at, pageBytes-int((offset+int64(at))%pageBytes))
		if bad < maxBadPages {
			n, err = source.ReadAt(b[at:at+size], offset+int64(at))
		} else {
			size = len(b) - at
		}
		switch {
		case err == nil:
			bad = 0
		case errors.Is(err, io.EOF):
			return at + n, err
		default:
			bad++
			clear(b[at : at+size])
			h.add(extent{offset + int64(at), offset + int64(at+size)}, err)
		}
		at += size
	}
	return len(b), nil
}

// add notes a part. Parts are read again when a record that is larger than
// what was read begins before them.
func (h *badExtents) add(e extent, cause error) {
	if h.cause == nil {
		h.cause = cause
	}
	last := len(h.extents) - 1
	switch {
	case last < 0 || e.from > h.extents[last].to:
		h.extents = append(h.extents, e)
	case e.to > h.extents[last].to:
		h.extents[last].to = e.to
	}
}

// within returns how many bytes between two offsets cannot be read, and where
// the last of them ends.
func (h *badExtents) within(from, to int64) (bytes, end int64) {
	for _, e := range h.extents {
		if cut := (extent{max(e.from, from), min(e.to, to)}); cut.from < cut.to {
			bytes += cut.to - cut.from
			end = cut.to
		}
	}
	return bytes, end
}
