package http1

import (
	"bytes"
	"math"
)

// ParseChunkSize parses the line before a chunk. Extensions must be well-formed, and are ignored. Blanks
// may be around their parts (RFC 9112 section 7.1.1), but not at the end of a line without one.
func ParseChunkSize(line []byte) (int64, error) {
	size, digits := int64(0), 0
	for digits < len(line) && classes[line[digits]]&hexByte != 0 {
		if size > math.MaxInt64>>4 {
			return 0, malformed("the size of a chunk is too large")
		}
		size = size<<4 | int64(hexValue(line[digits]))
		digits++
	}
	if rest := line[digits:]; digits == 0 || len(rest) > 0 && !areExtensions(rest) {
		return 0, malformed("the size of a chunk must be hexadecimal digits, and then nothing but extensions")
	}
	return size, nil
}

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// areExtensions reports whether a text is one or more extensions of a chunk, with blanks behind them
// or not.
func areExtensions(text []byte) bool {
	rest, ok := cutExtension(text)
	for ok && len(trimBlanks(rest)) > 0 {
		rest, ok = cutExtension(rest)
	}
	return ok && IsText(text)
}

// cutExtension cuts off the extension that a text begins with.
func cutExtension(text []byte) (rest []byte, ok bool) {
	text = trimBlanks(text)
	if len(text) == 0 || text[0] != ';' {
		return nil, false
	}
	if rest, ok = cutToken(trimBlanks(text[1:])); !ok {
		return nil, false
	}
	value, found := bytes.CutPrefix(trimBlanks(rest), []byte{'='})
	if !found {
		return rest, true
	}
	if value = trimBlanks(value); len(value) > 0 && value[0] == '"' {
		return cutQuoted(value)
	}
	return cutToken(value)
}

func cutToken(text []byte) (rest []byte, ok bool) {
	size := 0
	for size < len(text) && classes[text[size]]&tokenByte != 0 {
		size++
	}
	return text[size:], size > 0
}

// cutQuoted cuts off the quoted string that a text begins with (RFC 9110 section 5.6.4).
func cutQuoted(text []byte) (rest []byte, ok bool) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return text[i+1:], true
		case '\\':
			i++
		}
	}
	return nil, false
}

func trimBlanks(text []byte) []byte { return bytes.TrimLeft(text, " \t") }
