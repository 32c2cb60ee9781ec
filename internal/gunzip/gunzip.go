// Package gunzip decodes gzip (RFC 1952). Unlike package gzip it takes names and comments of any
// length, for which it needs no memory, and detects every truncated header.
package gunzip

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// Reader reads the content of one or more members. Reset comes first. It must not be used
// concurrently.
type Reader struct {
	source   flate.Reader
	inflater io.ReadCloser // nil before the first member
	within   bool          // a member
	members  bool          // one has ended
	sum      uint32        // CRC-32 of the member's content
	size     uint32        // bytes of the content, modulo 2^32
	err      error
	fixed    [10]byte // buffer of the fields of fixed size
}

// Reset makes the Reader read from another source. The Reader keeps its memory.
func (r *Reader) Reset(source flate.Reader) {
	*r = Reader{source: source, inflater: r.inflater}
}

// Read implements io.Reader. It returns io.EOF at the end of the source only if a member ends there.
func (r *Reader) Read(dst []byte) (n int, err error) {
	for n == 0 && r.err == nil && len(dst) > 0 {
		if !r.within {
			r.err = r.begin()
			continue
		}
		n, r.err = r.inflater.Read(dst)
		r.sum = crc32.Update(r.sum, crc32.IEEETable, dst[:n])
		r.size += uint32(n)
		if r.err == io.EOF {
			r.err = r.end()
		}
	}
	return n, r.err
}

// begin reads the header of a member.
func (r *Reader) begin() error {
	if _, err := io.ReadFull(r.source, r.fixed[:]); err == io.EOF && r.members {
		return io.EOF
	} else if err != nil {
		return unexpected(err)
	}
	h := header{source: r.source, sum: crc32.ChecksumIEEE(r.fixed[:])}
	if err := h.read(r.fixed); err != nil {
		return unexpected(err)
	}
	r.within, r.sum, r.size = true, 0, 0
	if r.inflater == nil {
		r.inflater = flate.NewReader(r.source)
		return nil
	}
	return r.inflater.(flate.Resetter).Reset(r.source, nil)
}

// end compares the content of a member with what its trailer states.
func (r *Reader) end() error {
	trailer := r.fixed[:8]
	if _, err := io.ReadFull(r.source, trailer); err != nil {
		return unexpected(err)
	}
	if binary.LittleEndian.Uint32(trailer) != r.sum || binary.LittleEndian.Uint32(trailer[4:]) != r.size {
		return gzip.ErrChecksum
	}
	r.within, r.members = false, true
	return nil
}

// unexpected returns the error for an end of the source within a member.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
