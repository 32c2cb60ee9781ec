package otlp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
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
	return jsontext.AppendDecoded(nil, raw)
}

// raw reads a string and returns what is between the quotes.
func (s *scanner) raw() []byte {
	if s.peek() != '"' {
		s.fail("a string is expected")
		return nil
	}
	value := s.scalar()
	if s.err != nil {
		return nil
	}
	return jsontext.Content(value)
}

// scalar reads the string or number that begins here.
func (s *scanner) scalar() []byte {
	begin := s.at
	end, err := jsontext.Scan(s.text, begin)
	if err != nil {
		s.err = err
		return nil
	}
	s.at = end
	return s.text[begin:end]
}

// string reads a string and appends its text. Lone surrogates become U+FFFD.
func (s *scanner) string(dst []byte) []byte { return jsontext.AppendDecoded(dst, s.raw()) }

// number reads the text of a number, which may be in a string.
func (s *scanner) number() []byte {
	switch c := s.peek(); {
	case c == '"':
		return s.raw()
	case c == '-', c >= '0' && c <= '9':
		return s.scalar()
	}
	s.fail("a number is expected")
	return nil
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
