package record

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendText appends text as the content of a JSON string, without quotes. Each byte of
// invalid UTF-8 becomes U+FFFD, and valid is false.
func AppendText(dst, text []byte) (result []byte, valid bool) {
	if isPlainText(text) {
		return append(dst, text...), true
	}
	return appendMixedText(dst, text, true)
}

// appendMixedText implements AppendText and, unless it replaces bytes of invalid UTF-8, AppendEscaped.
func appendMixedText(dst, text []byte, replace bool) (result []byte, valid bool) {
	valid = true
	plain := 0 // the beginning of the text that is not yet appended
	for i := 0; i < len(text); {
		if i += plainPrefix(text[i:]); i == len(text) {
			break
		}
		if c := text[i]; c < utf8.RuneSelf {
			dst = appendEscape(append(dst, text[plain:i]...), c)
			i++
			plain = i
			continue
		}
		size := 1
		if replace {
			if _, size = utf8.DecodeRune(text[i:]); size == 1 {
				dst = append(append(dst, text[plain:i]...), "\uFFFD"...)
				plain, valid = i+1, false
			}
		}
		i += size
	}
	return append(dst, text[plain:]...), valid
}

// isPlainText reports whether a text is ASCII that needs no escape. The last word of eight bytes
// overlaps the previous one.
func isPlainText(text []byte) bool {
	if len(text) < 8 {
		for _, c := range text {
			if !isPlain(c) {
				return false
			}
		}
		return true
	}
	special := uint64(0)
	for i := 0; i+8 <= len(text); i += 8 {
		special |= specials(binary.LittleEndian.Uint64(text[i:]))
	}
	return special|specials(binary.LittleEndian.Uint64(text[len(text)-8:])) == 0
}

// plainPrefix returns the number of bytes at the beginning of text that are ASCII and need no
// escape. It compares words of eight bytes and then single bytes.
func plainPrefix(text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		if special := specials(binary.LittleEndian.Uint64(text[i:])); special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for i < len(text) && isPlain(text[i]) {
		i++
	}
	return i
}

// specials is not 0 if one of eight bytes is not plain; its lowest bit is in the first such byte.
func specials(word uint64) uint64 {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	quote, backslash := word^ones*'"', word^ones*'\\'
	// A byte below n makes its high bit in x-n (S. Anderson, "Bit Twiddling Hacks").
	return (word | (word-ones*' ')&^word | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
}

func isPlain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}

// AppendQuoted appends text as a JSON string; see AppendText.
func AppendQuoted(dst, text []byte) []byte {
	dst, _ = AppendText(append(dst, '"'), text)
	return append(dst, '"')
}

// AppendEscaped appends text as the content of a JSON string, in which bytes of invalid UTF-8
// stay as they are.
func AppendEscaped(dst, text []byte) []byte {
	if isPlainText(text) {
		return append(dst, text...)
	}
	dst, _ = appendMixedText(dst, text, false)
	return dst
}
