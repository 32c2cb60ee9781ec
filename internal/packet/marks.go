package packet

import (
	"encoding/binary"
	"math/bits"
)

const (
	// window is the number of bytes marked at once: few enough that their marks
	// stay in the cache, enough to amortize the call.
	window = 1024
	// block is the number of bytes per vector instruction.
	block = 32
)

// marks is a bitmap of a window of the body. Bits are set for bytes that end the plain
// part of a string, which are quotes, backslashes and control characters, and for
// bytes after the body, so that the end of a string is found without a test per
// byte. The zero value has an empty window.
type marks struct {
	// end is the offset after the window, which may be beyond the body.
	end int
	// bits has padding for a read of eight bytes at the last mark.
	bits [window/8 + 8]byte
	// vectors enables vector instructions.
	vectors bool
	// strict also marks bytes that are not ASCII, for a body that is not valid
	// UTF-8. decided is set once that was checked.
	strict, decided bool
}

// ahead returns up to 64 marks, from that of the offset as the lowest bit. If none is
// set, plainEnd has to continue.
func (s *scanner) ahead(at int) uint64 {
	i := uint(at + window - s.marks.end)
	if i >= window {
		return 0
	}
	return binary.LittleEndian.Uint64(s.marks.bits[i/8:]) >> (i % 8)
}

// plainEnd returns the offset of the first mark at or after an offset within the body or at its
// end.
func (s *scanner) plainEnd(at int) int {
	for {
		if ahead := s.ahead(at); ahead != 0 {
			return at + bits.TrailingZeros64(ahead)
		}
		if i := at + window - s.marks.end; i < 0 || i >= window {
			s.mark(at)
		} else {
			at = min(at+64-i%8, s.marks.end)
		}
	}
}

// mark moves the window to an offset.
func (s *scanner) mark(at int) {
	m := &s.marks
	m.end = at + window
	text := s.body[at:min(m.end, len(s.body))]
	blocks := len(text) - len(text)%block
	nonASCII := m.markText(m.bits[:], text[:blocks])
	if at+len(text) == len(s.body) {
		// The zero padding is marked as control characters.
		var last [block]byte
		copy(last[:], text[blocks:])
		nonASCII = m.markText(m.bits[blocks/8:], last[:]) || nonASCII
	} else {
		clear(m.bits[window/8:])
	}
	if nonASCII && !m.decided {
		m.decided = true
		m.strict = !validUTF8(s.body, m.vectors)
		if m.strict {
			s.mark(at)
		}
	}
}

// markText marks a text of complete blocks and reports whether it has bytes that are
// not ASCII.
func (m *marks) markText(marks, text []byte) (nonASCII bool) {
	if m.vectors && !m.strict {
		return markBlocks(marks, text)
	}
	return markWords(marks, text, m.strict)
}

// markWords is the portable form of markBlocks, for eight bytes at a time.
func markWords(marks, text []byte, strict bool) (nonASCII bool) {
	const top = eachByte << 7
	var tops uint64
	for i := range len(text) / 8 {
		eight := binary.LittleEndian.Uint64(text[8*i:])
		tops |= eight & top
		// Sums of seven bits never carry into the next byte.
		low := eight &^ top
		plain := (low ^ eachByte*'"' + (top - eachByte)) & (low ^ eachByte*'\\' + (top - eachByte)) & (low + eachByte*(0x80-' '))
		marked := ^(plain | eight) & top
		if strict {
			marked |= eight & top
		}
		const gather = 0x0102040810204080 // moves the top bits of all eight into one byte
		marks[i] = byte(marked >> 7 * gather >> 56)
	}
	return tops != 0
}
