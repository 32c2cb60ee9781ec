package packet

import (
	"bytes"
	"unicode/utf8"
)

// AppendJSON appends the text as a JSON string in quotes, unchanged except that a lone surrogate,
// which many parsers refuse, becomes U+FFFD.
func (t Text) AppendJSON(dst, body []byte) []byte {
	raw := t.Raw(body)
	dst = append(dst, '"')
	if t.escaped && (bytes.Contains(raw, []byte(`\ud`)) || bytes.Contains(raw, []byte(`\uD`))) {
		dst = t.appendWithoutSurrogates(dst, raw)
	} else {
		dst = append(dst, raw...)
	}
	return append(dst, '"')
}

// appendWithoutSurrogates copies escapes, and replaces the escapes of lone surrogates.
func (t Text) appendWithoutSurrogates(dst, raw []byte) []byte {
	for len(raw) > 0 {
		r, size := decodeRune(raw)
		if r == utf8.RuneError && size == escapeLen {
			dst = utf8.AppendRune(dst, r)
		} else {
			dst = append(dst, raw[:size]...)
		}
		raw = raw[size:]
	}
	return dst
}

// AppendQuoted appends valid UTF-8 as a JSON string in quotes.
func AppendQuoted[T string | []byte](dst []byte, text T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0 // start of the pending bytes that need no escape
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	dst = append(dst, text[plain:]...)
	return append(dst, '"')
}

// IsJSON reports whether text is one JSON value (RFC 8259) in valid UTF-8, without surrounding
// white space, with a nesting of at most MaxDepth, and on one line. It may be called concurrently.
func IsJSON(text []byte) bool {
	s := scanner{body: text}
	s.marks.vectors = hasVectors
	return len(text) > 0 && s.value(0, 0) == len(text) && !s.spansLines
}

// IsNumber reports whether text is a JSON number. It may be called concurrently.
func IsNumber(text []byte) bool {
	return len(text) > 0 && (text[0] == '-' || isDigit(text[0])) && IsJSON(text)
}
