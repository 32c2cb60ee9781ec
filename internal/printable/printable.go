// Package printable makes text of others safe to show on a terminal: no byte of it can be a
// control sequence, start a line or change the direction of writing.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// String returns s with Go escapes for all that has no glyph: control characters, those that
// only format, and bytes that are not UTF-8.
func String(s string) string {
	if isPrintable(s) {
		return s
	}
	var text strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&text, `\x%02x`, s[0])
		case strconv.IsGraphic(r):
			text.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToGraphic(r)
			text.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return text.String()
}

func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsGraphic(r) })
}

// Shorten returns at most maxBytes of s, with an ellipsis after them if s is longer. No
// character is cut.
func Shorten(s string, maxBytes int) string {
	if len(s) <= maxBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxBytes], "") + "…"
}

// JSON returns a JSON text with the same value in which what String escapes is escaped as
// JSON does. Bytes that are not UTF-8 become U+FFFD, as they do when JSON is decoded.
func JSON(text []byte) []byte {
	safe := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case strconv.IsGraphic(r) || r == '\n' || r == '\t':
			safe = utf8.AppendRune(safe, r)
		case r == '\r': // between values; within a string it is escaped already
			safe = append(safe, ' ')
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			safe = fmt.Appendf(safe, `\u%04x\u%04x`, high, low)
		default:
			safe = fmt.Appendf(safe, `\u%04x`, r)
		}
		text = text[size:]
	}
	return safe
}
