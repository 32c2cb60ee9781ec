package packet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// text reads the string whose opening quote is at the offset.
func (s *scanner) text(at int) (text Text, end int) {
	body, i, escaped := s.body, at+1, false
	for {
		for i+8 <= len(body) {
			if hits := specialBytes(binary.LittleEndian.Uint64(body[i:])); hits != 0 {
				i += bits.TrailingZeros64(hits) / 8
				break
			}
			i += 8
		}
		if i >= len(body) {
			return Text{}, s.unexpected(i, "a closing quote")
		}
		switch c := body[i]; {
		case c == '"':
			return Text{start: int32(at + 1), end: int32(i), escaped: escaped}, i + 1
		case c == '\\':
			escaped = true
			i = s.escape(i)
		case c >= utf8.RuneSelf:
			i = s.multibyte(i)
		case c < ' ':
			return Text{}, s.malformed(i, fmt.Sprintf("the control character U+%04X must be escaped in a string", c))
		default:
			i++
		}
		if i == refused {
			return Text{}, refused
		}
	}
}

// specialBytes marks, in the highest bit of each, those of eight bytes of a
// string that are not plain ASCII: quotes, backslashes, control characters and
// parts of longer UTF-8 sequences. Only the first mark (the least significant)
// can be trusted: a borrow may set false ones behind it.
func specialBytes(eight uint64) uint64 {
	const each = 0x0101010101010101
	quotes := (eight ^ each*'"') - each
	backslashes := (eight ^ each*'\\') - each
	controls := eight - each*' '
	return (quotes | backslashes | controls | eight) & (each << 7)
}

func (s *scanner) escape(at int) int {
	switch s.at(at + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 2
	case 'u':
		if at+escapeLen <= len(s.body) && hexRune(s.body[at:]) >= 0 {
			return at + escapeLen
		}
	}
	return s.malformed(at, "a backslash is not followed by one of \"\\/bfnrt or by u and four hexadecimal digits")
}

// multibyte reads a run of characters that are not ASCII.
func (s *scanner) multibyte(at int) int {
	for at < len(s.body) && s.body[at] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s.body[at:])
		if r == utf8.RuneError && size == 1 {
			return s.malformed(at, fmt.Sprintf("the byte 0x%02X is not valid UTF-8", s.body[at]))
		}
		at += size
	}
	return at
}
