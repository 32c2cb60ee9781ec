// Package jsontext reads JSON (RFC 8259) in place: Scan validates a value, and the other functions
// take valid values apart. None of them makes a tree, so that a text takes no memory except its own
// and that of an Index, which is bounded. The reader must replace invalid UTF-8 within strings. All
// functions may be called concurrently.
package jsontext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// MaxDepth is the maximum nesting of values.
const MaxDepth = 128

// ErrEnd is returned if the text ends within a value.
var ErrEnd = errors.New("the JSON text ends too early")

// Scan validates the value at an offset, with white space before it, and returns the offset
// behind it.
func Scan(text []byte, at int) (end int, err error) {
	s := scanner{text: text}
	if end = s.value(Space(text, at), MaxDepth); end < 0 {
		return 0, s.fault
	}
	return end, nil
}

// Valid returns the value of a text that is one value with white space around it, or why the text
// is invalid.
func Valid(text []byte) (value []byte, err error) {
	s := scanner{text: text}
	return s.only()
}

// Space returns the offset of the first byte, from an offset on, that is not white space.
func Space(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}

func unexpected(text []byte, at int, want string) error {
	if at >= len(text) {
		return ErrEnd
	}
	return fmt.Errorf("invalid JSON: %q at byte %d, where %s should be", text[at:min(len(text), at+1)], at, want)
}

// scanner validates JSON. Its methods return the offset behind the text that they read, or refused.
type scanner struct {
	text  []byte
	fault error
	// lists is set while members are to be added, and full if some could not be.
	members     []Member
	lists, full bool
}

const refused = -1

func (s *scanner) refuse(at int, want string) int {
	s.fault = unexpected(s.text, at, want)
	return refused
}

// only reads a text that is one value with white space around it; see Valid.
func (s *scanner) only() (value []byte, err error) {
	start := Space(s.text, 0)
	end := s.value(start, MaxDepth)
	if end < 0 {
		return nil, s.fault
	}
	if rest := Space(s.text, end); rest < len(s.text) {
		return nil, unexpected(s.text, rest, "the end")
	}
	return s.text[start:end], nil
}

func (s *scanner) value(at, depth int) int {
	if at >= len(s.text) {
		return s.refuse(at, "")
	}
	switch c := s.text[at]; c {
	case '"':
		return s.string(at)
	case '{', '[':
		if depth == 0 {
			s.fault = fmt.Errorf("the JSON text is nested deeper than %d", MaxDepth)
			return refused
		}
		if c == '{' {
			return s.object(at+1, depth-1)
		}
		lists := s.lists
		s.lists = false
		at = s.array(at+1, depth-1)
		s.lists = lists
		return at
	case 't':
		return s.word(at, "true")
	case 'f':
		return s.word(at, "false")
	case 'n':
		return s.word(at, "null")
	default:
		return s.number(at)
	}
}

func (s *scanner) word(at int, word string) int {
	for i := range len(word) {
		if at+i >= len(s.text) || s.text[at+i] != word[i] {
			return s.refuse(at+i, word)
		}
	}
	return at + len(word)
}

func (s *scanner) object(at, depth int) int {
	if at = Space(s.text, at); at < len(s.text) && s.text[at] == '}' {
		return at + 1
	}
	for {
		if at >= len(s.text) || s.text[at] != '"' {
			return s.refuse(at, "a name")
		}
		name, member := at+1, refused
		if at = s.string(at); at < 0 {
			return refused
		}
		if s.lists {
			member = s.list(name, at-1)
		}
		if at = Space(s.text, at); at >= len(s.text) || s.text[at] != ':' {
			return s.refuse(at, "a colon")
		}
		value := Space(s.text, at+1)
		if at = s.value(value, depth); at < 0 {
			return refused
		}
		if member >= 0 {
			s.listValue(member, value, at)
		}
		at = Space(s.text, at)
		switch {
		case at >= len(s.text):
			return s.refuse(at, "")
		case s.text[at] == '}':
			return at + 1
		case s.text[at] != ',':
			return s.refuse(at, "a comma")
		}
		at = Space(s.text, at+1)
	}
}

func (s *scanner) array(at, depth int) int {
	if at = Space(s.text, at); at < len(s.text) && s.text[at] == ']' {
		return at + 1
	}
	for {
		if at = s.value(at, depth); at < 0 {
			return refused
		}
		at = Space(s.text, at)
		switch {
		case at >= len(s.text):
			return s.refuse(at, "")
		case s.text[at] == ']':
			return at + 1
		case s.text[at] != ',':
			return s.refuse(at, "a comma")
		}
		at = Space(s.text, at+1)
	}
}

// string reads the string whose quote is at the offset.
func (s *scanner) string(at int) int {
	for at++; ; at++ {
		at = plain(s.text, at)
		if at >= len(s.text) {
			return s.refuse(at, "")
		}
		switch s.text[at] {
		case '"':
			return at + 1
		case '\\':
			if at = s.escape(at + 1); at < 0 {
				return refused
			}
		default:
			return s.refuse(at, "a character of a string")
		}
	}
}

// escape reads the escape after a backslash, and returns the offset of its last byte.
func (s *scanner) escape(at int) int {
	if at >= len(s.text) {
		return s.refuse(at, "")
	}
	switch s.text[at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at
	case 'u':
		for i := 1; i <= 4; i++ {
			if at+i >= len(s.text) || hexValue(s.text[at+i]) < 0 {
				return s.refuse(at+i, "a hex digit")
			}
		}
		return at + 4
	default:
		return s.refuse(at, "an escape")
	}
}

// number reads a number as specified in RFC 8259 section 6.
func (s *scanner) number(at int) int {
	if s.text[at] == '-' {
		at++
	}
	if at < len(s.text) && s.text[at] == '0' {
		at++
	} else if at = s.digits(at); at < 0 {
		return refused
	}
	if at < len(s.text) && s.text[at] == '.' {
		if at = s.digits(at + 1); at < 0 {
			return refused
		}
	}
	if at < len(s.text) && s.text[at]|0x20 == 'e' {
		if at++; at < len(s.text) && (s.text[at] == '+' || s.text[at] == '-') {
			at++
		}
		return s.digits(at)
	}
	return at
}

// digits reads one or more digits.
func (s *scanner) digits(at int) int {
	first := at
	for at < len(s.text) && '0' <= s.text[at] && s.text[at] <= '9' {
		at++
	}
	if at == first {
		return s.refuse(at, "a value")
	}
	return at
}

// plain returns the offset of the first byte, from an offset on, that ends or escapes a string, or
// is not allowed in a string.
func plain(text []byte, at int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for ; at+8 <= len(text); at += 8 {
		word := binary.LittleEndian.Uint64(text[at:])
		quote, backslash := word^ones*'"', word^ones*'\\'
		// A byte below n makes its high bit in x-n (S. Anderson, "Bit Twiddling Hacks").
		// Only bytes above the first such one may have a high bit by mistake.
		special := (word-ones*' ')&^word | (quote-ones)&^quote | (backslash-ones)&^backslash
		if special &= highs; special != 0 {
			return at + bits.TrailingZeros64(special)/8
		}
	}
	for at < len(text) && text[at] >= ' ' && text[at] != '"' && text[at] != '\\' {
		at++
	}
	return at
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	default:
		return -1
	}
}
