package packet

import (
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// text reads the string whose opening quote is at the offset.
func (s *scanner) text(at int) (text Text, end int) {
	start := at + 1
	if ahead := s.ahead(start); ahead != 0 {
		end = start + bits.TrailingZeros64(ahead)
	} else {
		end = s.plainEnd(start)
	}
	if end < len(s.body) && s.body[end] == '"' {
		return Text{start: int32(start), end: int32(end)}, end + 1
	}
	return s.mixedText(start, end)
}

// mixedText reads a string that is plain up to an offset.
func (s *scanner) mixedText(start, at int) (text Text, end int) {
	escaped := false
	for {
		if at >= len(s.body) {
			return Text{}, s.unexpected(at, "a closing quote")
		}
		switch c := s.body[at]; {
		case c == '"':
			return Text{start: int32(start), end: int32(at), escaped: escaped}, at + 1
		case c == '\\':
			escaped = true
			if next := s.escapes(at); next > at {
				at = next
				continue
			}
			at = s.escape(at)
		case c >= utf8.RuneSelf:
			at = s.multibyte(at)
		default:
			return Text{}, s.malformed(at, fmt.Sprintf("the control character U+%04X must be escaped in a string", c))
		}
		if at == refused {
			return Text{}, refused
		}
		at = s.plainEnd(at)
	}
}

// escapes reads valid escapes and the plain text between them, up to the end of the marked window.
// It returns the offset of the next mark; it returns at if the first escape is not valid.
func (s *scanner) escapes(at int) int {
	for ahead := s.ahead(at); ahead != 0; {
		plain := bits.TrailingZeros64(ahead)
		mark := at + plain
		if mark+escapeLen > len(s.body) || s.body[mark] != '\\' {
			return mark
		}
		size := 2
		if c := s.body[mark+1]; c == 'u' && hexRune(s.body[mark:]) >= 0 {
			size = escapeLen
		} else if !isShortEscape(c) {
			return mark
		}
		ahead = ahead >> plain >> size
		at = mark + size
	}
	return s.plainEnd(at)
}

func isShortEscape(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

func (s *scanner) escape(at int) int {
	switch c := s.at(at + 1); {
	case isShortEscape(c):
		return at + 2
	case c == 'u' && at+escapeLen <= len(s.body) && hexRune(s.body[at:]) >= 0:
		return at + escapeLen
	}
	return s.malformed(at, "a backslash is not followed by one of \"\\/bfnrt or by u and four hexadecimal digits")
}

// multibyte reads a sequence of characters that are not ASCII.
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
