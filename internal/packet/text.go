package packet

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Text is the content of a JSON string of a packet, as a range of the body. The zero
// value is empty. All methods may be called concurrently.
type Text struct {
	start, end int32
	escaped    bool
}

// NewText returns the text at a range of a body; escaped means that it has JSON escapes.
func NewText(start, end int, escaped bool) Text {
	return Text{start: int32(start), end: int32(end), escaped: escaped}
}

// Len returns the length in bytes with escapes.
func (t Text) Len() int { return int(t.end - t.start) }

// IsEmpty reports whether the text is empty.
func (t Text) IsEmpty() bool { return t.start == t.end }

// Plain reports whether the text has no escapes, so that Raw is the decoded text.
func (t Text) Plain() bool { return !t.escaped }

// Raw returns the text with its JSON escapes, as a subslice of body.
func (t Text) Raw(body []byte) []byte { return body[t.start:t.end:t.end] }

// AppendDecoded appends the unescaped text to dst, as valid UTF-8. A lone surrogate
// becomes U+FFFD.
func (t Text) AppendDecoded(dst, body []byte) []byte {
	raw := t.Raw(body)
	if !t.escaped {
		return append(dst, raw...)
	}
	for len(raw) > 0 {
		r, size := decodeRune(raw)
		dst = utf8.AppendRune(dst, r)
		raw = raw[size:]
	}
	return dst
}

// DecodedLen returns the length in bytes without escapes.
func (t Text) DecodedLen(body []byte) int {
	if !t.escaped {
		return t.Len()
	}
	length := 0
	for raw := t.Raw(body); len(raw) > 0; {
		r, size := decodeRune(raw)
		length += utf8.RuneLen(r)
		raw = raw[size:]
	}
	return length
}

// Decoded returns the unescaped text: a subslice of body if it has no escapes, else
// appended to buffer.
func (t Text) Decoded(buffer, body []byte) []byte {
	if !t.escaped {
		return t.Raw(body)
	}
	return t.AppendDecoded(buffer, body)
}

// loneSurrogate returns the offset in the body of the first escape of a lone
// surrogate, or -1.
func (t Text) loneSurrogate(body []byte) int {
	if !t.escaped {
		return -1
	}
	for raw := t.Raw(body); len(raw) > 0; {
		r, size := decodeRune(raw)
		if r == utf8.RuneError && size == escapeLen && utf16.IsSurrogate(hexRune(raw)) {
			return int(t.end) - len(raw)
		}
		raw = raw[size:]
	}
	return -1
}

// escapeLen is the length of an escape such as \u0041.
const escapeLen = 6

// decodeRune decodes the first character or escape of raw, which must be the
// valid content of a JSON string, and returns how many bytes of raw it takes.
func decodeRune(raw []byte) (r rune, size int) {
	if raw[0] != '\\' {
		return utf8.DecodeRune(raw)
	}
	switch raw[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return decodeHexEscape(raw)
	default: // a quote, a backslash or a slash
		return rune(raw[1]), 2
	}
}

func decodeHexEscape(raw []byte) (r rune, size int) {
	r = hexRune(raw)
	if !utf16.IsSurrogate(r) {
		return r, escapeLen
	}
	rest := raw[escapeLen:]
	if len(rest) >= escapeLen && rest[0] == '\\' && rest[1] == 'u' {
		if pair := utf16.DecodeRune(r, hexRune(rest)); pair != utf8.RuneError {
			return pair, 2 * escapeLen
		}
	}
	return utf8.RuneError, escapeLen
}

// hexRune returns the value of an escape such as \u0041, or -1 if its digits are not
// hexadecimal.
func hexRune(escape []byte) rune {
	var r rune
	for _, c := range escape[2:escapeLen] {
		digit := hexDigit(c)
		if digit < 0 {
			return -1
		}
		r = r<<4 | digit
	}
	return r
}

func hexDigit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	default:
		return -1
	}
}
