package http1

import "encoding/binary"

// byteClass is a set of the kinds of text that a byte may be in.
type byteClass uint8

const (
	tokenByte  byteClass = 1 << iota // RFC 9110 section 5.6.2
	valueByte                        // of a field's value: no control character but the tab
	targetByte                       // of a request target: visible ASCII without #
	nameByte                         // of a host name: RFC 3986 reg-name without percent
	digitByte
	hexByte
)

// classes are those of each byte.
var classes = classify()

func classify() (of [256]byteClass) {
	mark := func(class byteClass, text string) {
		for i := range len(text) {
			of[text[i]] |= class
		}
	}
	const (
		digits  = "0123456789"
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	mark(tokenByte, digits+letters+"!#$%&'*+-.^_`|~")
	mark(nameByte, digits+letters+"-._~!$&'()*+,;=")
	mark(digitByte|hexByte, digits)
	mark(hexByte, "abcdefABCDEF")
	for c := range 256 {
		if c >= ' ' && c != 0x7f || c == '\t' {
			of[c] |= valueByte
		}
		if c > ' ' && c < 0x7f && c != '#' {
			of[c] |= targetByte
		}
	}
	return of
}

// IsText reports whether text has no control character but tabs.
func IsText(text []byte) bool {
	for len(text) >= 8 && !hasControl(binary.LittleEndian.Uint64(text)) {
		text = text[8:]
	}
	return all(text, valueByte)
}

// hasControl reports whether any of eight bytes is below a space or DEL, by the
// methods of Warren, Hacker's Delight, section 6-1.
func hasControl(word uint64) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	del := word ^ 0x7f*ones
	return ((word-' '*ones)&^word|(del-ones)&^del)&highs != 0
}

// all reports whether all bytes are in a class.
func all(text []byte, class byteClass) bool {
	for _, c := range text {
		if classes[c]&class == 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }
