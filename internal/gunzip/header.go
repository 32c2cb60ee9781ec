package gunzip

import (
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Flags of a header (RFC 1952 section 2.3.1). The one for text means nothing.
const (
	hasSum = 1 << (iota + 1)
	hasExtra
	hasName
	hasComment
	firstReserved
)

// errReserved is the error for flags that may stand for fields of a later version: RFC 1952 section
// 2.3.1.2 requires an error.
var errReserved = errors.New("gzip: reserved flags are set")

// header reads the fields of a member's header.
type header struct {
	source io.ByteReader
	sum    uint32 // CRC-32 of what was read
}

// read skips the fields behind those of fixed size, and checks the sum of all.
func (h *header) read(fixed [10]byte) error {
	flags := fixed[3]
	if fixed[0] != 0x1f || fixed[1] != 0x8b || fixed[2] != 8 {
		return gzip.ErrHeader
	}
	if flags >= firstReserved {
		return errReserved
	}
	if flags&hasExtra != 0 {
		length, err := h.number()
		for ; err == nil && length > 0; length-- {
			_, err = h.next()
		}
		if err != nil {
			return err
		}
	}
	for _, field := range []byte{hasName, hasComment} {
		if flags&field == 0 {
			continue
		}
		if err := h.skipText(); err != nil {
			return err
		}
	}
	if flags&hasSum == 0 {
		return nil
	}
	want := uint16(h.sum)
	got, err := h.number()
	if err == nil && got != want {
		return gzip.ErrHeader
	}
	return err
}

// next reads a byte. It updates the sum by itself, since crc32.Update would allocate for each byte.
func (h *header) next() (byte, error) {
	c, err := h.source.ReadByte()
	rest := ^h.sum
	h.sum = ^(crc32.IEEETable[byte(rest)^c] ^ rest>>8)
	return c, err
}

// number reads two bytes, of which the first is the less significant.
func (h *header) number() (uint16, error) {
	low, err := h.next()
	if err != nil {
		return 0, err
	}
	high, err := h.next()
	return uint16(low) | uint16(high)<<8, err
}

// skipText reads a text and the zero that ends it.
func (h *header) skipText() error {
	for {
		if c, err := h.next(); err != nil || c == 0 {
			return err
		}
	}
}
