package packet

import "fmt"

// MaxDepth is the maximum nesting of objects and arrays, including the packet.
const MaxDepth = 32

// refused is the offset that methods of scanner return for an error, which
// scanner.refusal describes.
const refused = -1

// scanner reads JSON (RFC 8259). Its methods take the offset of an element and return
// the offset after it, or refused.
type scanner struct {
	body    []byte
	marks   marks
	refusal Refusal
	// spansLines is set by a line break before the last byte of the body.
	spansLines bool
}

// at returns the byte at an offset, or 0 beyond the end.
func (s *scanner) at(offset int) byte {
	if offset < len(s.body) {
		return s.body[offset]
	}
	return 0
}

// space skips white space.
func (s *scanner) space(at int) int {
	if at < len(s.body) && s.body[at] > ' ' {
		return at
	}
	return s.skipSpace(at)
}

func (s *scanner) skipSpace(at int) int {
	for ; at < len(s.body); at++ {
		switch c := s.body[at]; {
		case c == ' ':
		case c == '\n':
			s.spansLines = s.spansLines || at < len(s.body)-1
		case c != '\t' && c != '\r':
			return at
		}
	}
	return at
}

// value reads a value of any type with a nesting of depth, which MaxDepth limits.
func (s *scanner) value(at, depth int) int {
	switch c := s.at(at); c {
	case '"':
		_, end := s.text(at)
		return end
	case '{':
		return s.object(at, depth+1)
	case '[':
		return s.array(at, depth+1)
	case 't':
		return s.literal(at, "true")
	case 'f':
		return s.literal(at, "false")
	case 'n':
		return s.literal(at, "null")
	default:
		if c == '-' || isDigit(c) {
			return s.number(at)
		}
		return s.unexpected(at, "a value")
	}
}

// object reads an object with a nesting of depth.
func (s *scanner) object(at, depth int) int {
	if depth > MaxDepth {
		return s.tooDeep(at)
	}
	at = s.space(at + 1)
	if s.at(at) == '}' {
		return at + 1
	}
	for {
		_, value := s.name(at)
		if value == refused {
			return refused
		}
		end := s.value(value, depth)
		if end == refused {
			return refused
		}
		next, more := s.next(end, '}')
		if !more {
			return next
		}
		at = next
	}
}

// array reads an array with a nesting of depth.
func (s *scanner) array(at, depth int) int {
	if depth > MaxDepth {
		return s.tooDeep(at)
	}
	at = s.space(at + 1)
	if s.at(at) == ']' {
		return at + 1
	}
	for {
		end := s.value(at, depth)
		if end == refused {
			return refused
		}
		next, more := s.next(end, ']')
		if !more {
			return next
		}
		at = next
	}
}

// next reads a comma or the closing bracket after a member or an element.
func (s *scanner) next(at int, closing byte) (next int, more bool) {
	at = s.space(at)
	switch s.at(at) {
	case ',':
		return s.space(at + 1), true
	case closing:
		return at + 1, false
	default:
		return s.unexpected(at, fmt.Sprintf("a comma or %c", closing)), false
	}
}

// name reads a member's name and the colon, and returns the offset of its value.
func (s *scanner) name(at int) (name Text, value int) {
	if s.at(at) != '"' {
		return Text{}, s.unexpected(at, "a name in quotes")
	}
	name, end := s.text(at)
	if end == refused {
		return Text{}, refused
	}
	colon := s.space(end)
	if s.at(colon) != ':' {
		return Text{}, s.unexpected(colon, "a colon")
	}
	return name, s.space(colon + 1)
}

func (s *scanner) literal(at int, word string) int {
	end := at + len(word)
	if end <= len(s.body) && string(s.body[at:end]) == word {
		return end
	}
	return s.unexpected(at, "a value")
}

func (s *scanner) number(at int) int {
	if s.at(at) == '-' {
		at++
	}
	end := s.digits(at)
	if end > at+1 && s.body[at] == '0' {
		return s.malformed(at, "a number has a leading zero")
	}
	if end != refused && s.at(end) == '.' {
		end = s.digits(end + 1)
	}
	if end != refused && s.at(end)|0x20 == 'e' {
		end++
		if sign := s.at(end); sign == '+' || sign == '-' {
			end++
		}
		end = s.digits(end)
	}
	return end
}

// digits reads one or more digits.
func (s *scanner) digits(at int) int {
	if !isDigit(s.at(at)) {
		return s.unexpected(at, "a digit")
	}
	for isDigit(s.at(at)) {
		at++
	}
	return at
}

func isDigit(c byte) bool { return c-'0' <= 9 }
