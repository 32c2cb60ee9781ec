package problem

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendQuoted appends text to dst as a quoted JSON string. Each byte of invalid
// UTF-8 becomes U+FFFD.
func AppendQuoted(dst []byte, text string) []byte {
	dst = append(dst, '"')
	dst = appendEscapedText(dst, text)
	return append(dst, '"')
}

func appendEscapedText(dst []byte, text string) []byte {
	plain := 0 // start of the bytes to copy unescaped
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				dst = append(dst, text[plain:i]...)
				dst = appendEscape(dst, c)
				plain = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, text[plain:i]...)
			dst = append(dst, "\uFFFD"...)
			plain = i + 1
		}
		i += size
	}
	return append(dst, text[plain:]...)
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
