package disk

import (
	"errors"
	"io"
)

// badExtents are the parts of a file with read errors.
type badExtents struct {
	extents []extent // sorted, disjoint
	cause   error    // first read error
}

// extent is a byte range of a file.
type extent struct{ from, to int64 }

const (
	pageBytes = 4096
	// maxBadPages is the number of consecutive read errors after which the rest of a
	// read counts as bad: a disk may take seconds for each.
	maxBadPages = 16
)

// read fills b like ReadAt. After an error it reads page by page, records the bad
// pages and substitutes zeros for them.
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

// add records an extent. It may overlap the last one, as the scanner rereads from the
// start of a record that is larger than its buffer.
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

// within returns the number of bad bytes between two offsets and the end of the last
// of them.
func (h *badExtents) within(from, to int64) (bytes, end int64) {
	for _, e := range h.extents {
		if cut := (extent{max(e.from, from), min(e.to, to)}); cut.from < cut.to {
			bytes += cut.to - cut.from
			end = cut.to
		}
	}
	return bytes, end
}
