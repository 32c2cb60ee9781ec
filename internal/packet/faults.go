package packet

import "fmt"

func (s *scanner) malformed(at int, fault string) int {
	return s.refuse(CodeMalformed, at, fault)
}

func (s *scanner) invalid(at int, rule string) int {
	return s.refuse(CodeInvalid, at, rule)
}

func (s *scanner) refuse(code string, at int, detail string) int {
	s.refusal = Refusal{Code: code, Offset: at, Detail: detail}
	return refused
}

func (s *scanner) tooDeep(at int) int {
	return s.invalid(at, fmt.Sprintf("is nested more than %d deep", MaxDepth))
}

func (s *scanner) unexpected(at int, expected string) int {
	return s.malformed(at, expected+" is missing before "+s.found(at))
}

// found describes the byte at an offset.
func (s *scanner) found(at int) string {
	if at >= len(s.body) {
		return "the end"
	}
	if c := s.body[at]; c <= ' ' || c > '~' {
		return fmt.Sprintf("the byte 0x%02X", c)
	}
	return string(s.body[at])
}

// wrongType refuses a value of the wrong type, or as malformed if it is not valid
// JSON.
func (s *scanner) wrongType(at, depth int, expected string) int {
	first := s.at(at)
	if s.value(at, depth) == refused {
		return refused
	}
	return s.invalid(at, "must be "+expected+" but is "+typeOf(first))
}

// typeOf returns the name of a value's type by the first byte.
func typeOf(first byte) string {
	switch first {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
