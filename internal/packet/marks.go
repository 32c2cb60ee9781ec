package packet

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	// window is how many bytes of a body are marked at once: few enough that
	// their marks stay near, enough that the call is nothing to each.
	window = 1024
	// block is how many bytes the vector instructions take at once.
	block = 32
)

// marks has a bit for each byte of a part of a body. It is set where the plain
// part of a string ends: at quotes, backslashes and control characters, and
// behind the body. So the end of a string is found by one look at some bits
// and not by a look at each byte. The zero value has nothing marked yet.
type marks struct {
	// end is the offset behind the part, which is as long as the window,
	// whether or not the body is.
	end int
	// bits ends in room for eight bytes to be read at once from the last mark.
	bits [window/8 + 8]byte
	// vectors tells to use the processor's vector instructions.
	vectors bool
	// strict marks what is not ASCII too. That is needed only in a body that
	// is not valid UTF-8, which decided tells once it is known.
	strict, decided bool
}

// ahead returns the marks from an offset on, that of the offset itself as the
// lowest bit. It shows as many as it can: the lowest one that is set is indeed
// the next mark, but if none is set, plainEnd has to look further.
func (s *scanner) ahead(at int) uint64 {
	i := uint(at + window - s.marks.end)
	if i >= window {
		return 0
	}
	return binary.LittleEndian.Uint64(s.marks.bits[i/8:]) >> (i % 8)
}

// plainEnd returns the offset of the first mark from an offset on, which may
// be at most that of the body's end.
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

// mark marks the part of the body that starts at an offset.
func (s *scanner) mark(at int) {
	m := &s.marks
	m.end = at + window
	text := s.body[at:min(m.end, len(s.body))]
	whole := len(text) - len(text)%block
	foreign := m.markText(m.bits[:], text[:whole])
	if at+len(text) == len(s.body) {
		// The zeros behind the text count as control characters.
		var last [block]byte
		copy(last[:], text[whole:])
		foreign = m.markText(m.bits[whole/8:], last[:]) || foreign
	} else {
		clear(m.bits[window/8:])
	}
	if foreign && !m.decided {
		m.decided = true
		m.strict = !utf8.Valid(s.body)
		if m.strict {
			s.mark(at)
		}
	}
}

// markText marks a text of whole blocks and tells whether it has any byte that
// is not ASCII.
func (m *marks) markText(marks, text []byte) (foreign bool) {
	if m.vectors && !m.strict {
		return markBlocks(marks, text)
	}
	return markWords(marks, text, m.strict)
}

// markWords is markBlocks for every processor, eight bytes at a time.
func markWords(marks, text []byte, strict bool) (foreign bool) {
	const top = eachByte << 7
	var tops uint64
	for i := range len(text) / 8 {
		eight := binary.LittleEndian.Uint64(text[8*i:])
		tops |= eight & top
		// Sums of seven bits never reach into the next byte.
		low := eight &^ top
		plain := (low ^ eachByte*'"' + (top - eachByte)) & (low ^ eachByte*'\\' + (top - eachByte)) & (low + eachByte*(0x80-' '))
		marked := ^(plain | eight) & top
		if strict {
			marked |= eight & top
		}
		const gather = 0x0102040810204080 // brings the tops of all eight into one byte
		marks[i] = byte(marked >> 7 * gather >> 56)
	}
	return tops != 0
}
