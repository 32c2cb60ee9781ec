package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of JSON: a value of MaxDepth levels takes four each.
const maxJSONDepth = 4*MaxDepth + 16

// scanner reads JSON (RFC 8259) from its beginning to its end, without a tree. After the first
// error all methods do nothing.
type scanner struct {
	text  []byte
	at    int
	depth int
	err   error
	// scratch is a buffer for keys with escapes.
	scratch []byte
}

var errDepth = errors.New("the JSON is nested too deep")

func (s *scanner) fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("the JSON is malformed at byte %d: %s", s.at, what)
	}
}

// peek skips white space and returns the byte behind, 0 at the end or after an error.
func (s *scanner) peek() byte {
	for s.err == nil && s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) {
	if s.peek() != c {
		s.fail(fmt.Sprintf("%q is expected", c))
		return
	}
	s.at++
}

// null skips a null and reports whether there is one.
func (s *scanner) null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.literal("null")
	return true
}

func (s *scanner) literal(name string) {
	if !bytes.HasPrefix(s.text[s.at:], []byte(name)) {
		s.fail("a value is expected")
		return
	}
	s.at += len(name)
}

// object calls member behind each key, which is valid until the next; member reads the value.
func (s *scanner) object(member func(key []byte)) {
	s.list('{', '}', func() {
		key := s.key()
		s.expect(':')
		if s.err == nil {
			member(key)
		}
	})
}

// array calls item before each value.
func (s *scanner) array(item func()) { s.list('[', ']', item) }

func (s *scanner) list(begin, end byte, item func()) {
	s.expect(begin)
	if s.depth++; s.depth > maxJSONDepth && s.err == nil {
		s.err = errDepth
	}
	defer func() { s.depth-- }()
	if s.peek() == end {
		s.at++
		return
	}
	for s.err == nil {
		item()
		if s.peek() != ',' {
			break
		}
		s.at++
	}
	s.expect(end)
}

// key reads a string without a copy, unless it has escapes.
func (s *scanner) key() []byte {
	raw := s.raw()
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	s.scratch = s.unescape(s.scratch[:0], raw)
	return bytes.Clone(s.scratch)
}

// raw reads a string and returns what is between the quotes.
func (s *scanner) raw() []byte {
	s.expect('"')
	if s.err != nil {
		return nil
	}
	start := s.at
	for {
		quote := bytes.IndexByte(s.text[s.at:], '"')
		if quote < 0 {
			s.fail("a string does not end")
			return nil
		}
		s.at += quote + 1
		backslashes := 0
		for i := s.at - 2; i >= start && s.text[i] == '\\'; i-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return s.text[start : s.at-1]
		}
	}
}

// string reads a string and appends its text.
func (s *scanner) string(dst []byte) []byte {
	raw := s.raw()
	if bytes.IndexByte(raw, '\\') < 0 {
		return append(dst, raw...)
	}
	return s.unescape(dst, raw)
}

// unescape appends the text of what is between quotes. Lone surrogates become U+FFFD.
func (s *scanner) unescape(dst, raw []byte) []byte {
	for len(raw) > 0 {
		escape := bytes.IndexByte(raw, '\\')
		if escape < 0 {
			return append(dst, raw...)
		}
		dst, raw = append(dst, raw[:escape]...), raw[escape+1:]
		if len(raw) == 0 {
			s.fail("an escape is not complete")
			return dst
		}
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			var r rune
			r, raw = s.escapedRune(raw)
			dst = utf8.AppendRune(dst, r)
		default:
			s.fail("an escape is unknown")
			return dst
		}
	}
	return dst
}

// escapedRune reads the four digits behind \u, and the second half of a pair.
func (s *scanner) escapedRune(raw []byte) (rune, []byte) {
	r, ok := hexRune(raw)
	if !ok {
		s.fail("an escape is not complete")
		return 0, nil
	}
	raw = raw[4:]
	if !utf16.IsSurrogate(r) {
		return r, raw
	}
	if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
		if low, ok := hexRune(raw[2:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, raw[6:]
			}
		}
	}
	return utf8.RuneError, raw
}

func hexRune(digits []byte) (r rune, ok bool) {
	if len(digits) < 4 {
		return 0, false
	}
	for _, c := range digits[:4] {
		digit := hexDigit(c)
		if digit < 0 {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}

// hexDigit returns the value of a digit, or -1.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	default:
		return -1
	}
}

// number reads the text of a number, which may be in a string.
func (s *scanner) number() []byte {
	if s.peek() == '"' {
		return s.raw()
	}
	start := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c|0x20 == 'e':
			s.at++
			continue
		}
		break
	}
	if s.at == start {
		s.fail("a number is expected")
	}
	return s.text[start:s.at]
}

// boolean reads a bool, which may be in a string.
func (s *scanner) boolean() bool {
	text := "false"
	switch s.peek() {
	case 't':
		text = "true"
	case '"':
		value := string(s.raw())
		if value != "true" && value != "false" {
			s.fail("a bool is expected")
		}
		return value == "true"
	}
	s.literal(text)
	return text == "true"
}

// skip skips a value.
func (s *scanner) skip() {
	switch s.peek() {
	case '{':
		s.object(func([]byte) { s.skip() })
	case '[':
		s.array(s.skip)
	case '"':
		s.raw()
	case 't', 'f':
		s.boolean()
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// end expects the end of the text.
func (s *scanner) end() {
	if c := s.peek(); c != 0 || s.err == nil && s.at < len(s.text) {
		s.fail("nothing may follow")
	}
}
