package jsontext

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind is the kind of a value.
type Kind byte

// The kinds of values.
const (
	String Kind = iota
	Number
	True
	False
	Null
	Object
	Array
)

// KindOf returns the kind of a valid value.
func KindOf(value []byte) Kind {
	switch value[0] {
	case '"':
		return String
	case 't':
		return True
	case 'f':
		return False
	case 'n':
		return Null
	case '{':
		return Object
	case '[':
		return Array
	default:
		return Number
	}
}

// Content returns the text between the quotes of a string.
func Content(value []byte) []byte { return value[1 : len(value)-1] }

// skip returns the offset behind the valid value at an offset.
func skip(text []byte, at int) int {
	switch text[at] {
	case '"':
		return skipString(text, at)
	case '{', '[':
		return skipContainer(text, at)
	default:
		for at < len(text) && !ends(text[at]) {
			at++
		}
		return at
	}
}

// ends reports whether a byte is a delimiter after a number or a word.
func ends(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

func skipString(text []byte, at int) int {
	for at = plain(text, at+1); text[at] != '"'; at = plain(text, at+2) {
	}
	return at + 1
}

func skipContainer(text []byte, at int) int {
	depth := 0
	for {
		switch text[at] {
		case '"':
			at = skipString(text, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
		at++
	}
}

// Members yields the members of a valid object: the content of the name's string, and the
// value. They are parts of the text.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for at := Space(object, 1); object[at] != '}'; {
			end := skipString(object, at)
			name := object[at+1 : end-1]
			at = Space(object, Space(object, end)+1)
			end = skip(object, at)
			if !yield(name, object[at:end]) {
				return
			}
			if at = Space(object, end); object[at] == ',' {
				at = Space(object, at+1)
			}
		}
	}
}

// Elements yields the elements of a valid array. They are parts of the text.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for at := Space(array, 1); array[at] != ']'; {
			end := skip(array, at)
			if !yield(array[at:end]) {
				return
			}
			if at = Space(array, end); array[at] == ',' {
				at = Space(array, at+1)
			}
		}
	}
}

// IsEmpty reports whether a valid object or array is empty.
func IsEmpty(container []byte) bool {
	first := container[Space(container, 1)]
	return first == '}' || first == ']'
}

// AppendCompact appends a valid value without white space between its parts.
func AppendCompact(dst, value []byte) []byte {
	for at := 0; at < len(value); {
		from := at
		switch value[at] {
		case '"':
			at = skipString(value, at)
		case ' ', '\n', '\r', '\t':
			at++
			continue
		default:
			for at < len(value) && value[at] != '"' && value[at] > ' ' {
				at++
			}
		}
		dst = append(dst, value[from:at]...)
	}
	return dst
}

// Decoded returns the text of a string's content: the content itself if it has no escapes,
// otherwise appended to scratch.
func Decoded(content, scratch []byte) []byte {
	if bytes.IndexByte(content, '\\') < 0 {
		return content
	}
	return AppendDecoded(scratch, content)
}

// AppendDecoded appends the text of a string's content. Half a surrogate pair is U+FFFD.
func AppendDecoded(dst, content []byte) []byte {
	for at := 0; at < len(content); {
		next := bytes.IndexByte(content[at:], '\\')
		if next < 0 {
			return append(dst, content[at:]...)
		}
		dst = append(dst, content[at:at+next]...)
		dst, at = appendEscaped(dst, content, at+next+1)
	}
	return dst
}

// HasHalfPair reports whether a string's content has the escape of half a surrogate pair.
func HasHalfPair(content []byte) bool {
	for at := 0; at < len(content); {
		next := bytes.IndexByte(content[at:], '\\')
		if next < 0 {
			return false
		}
		if at += next + 1; content[at] != 'u' {
			at++
			continue
		}
		var decoded [utf8.UTFMax]byte
		text, end := appendEscaped(decoded[:0], content, at)
		if string(text) == "\uFFFD" && utf16.IsSurrogate(unit(content[at+1:])) {
			return true
		}
		at = end
	}
	return false
}

// appendEscaped appends the character whose escape is at the offset, behind the backslash.
func appendEscaped(dst, content []byte, at int) (text []byte, next int) {
	switch c := content[at]; c {
	case 'b':
		return append(dst, '\b'), at + 1
	case 'f':
		return append(dst, '\f'), at + 1
	case 'n':
		return append(dst, '\n'), at + 1
	case 'r':
		return append(dst, '\r'), at + 1
	case 't':
		return append(dst, '\t'), at + 1
	case 'u':
		r := unit(content[at+1:])
		at += 5
		if utf16.IsSurrogate(r) {
			low := rune(utf8.RuneError)
			if bytes.HasPrefix(content[at:], []byte(`\u`)) {
				low = unit(content[at+2:])
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				at += 6
			}
		}
		return utf8.AppendRune(dst, r), at
	default:
		return append(dst, c), at + 1
	}
}

// unit returns the number of four hexadecimal digits.
func unit(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		r = r<<4 | rune(hexValue(c))
	}
	return r
}
