package packet

import "unicode/utf8"

// validUTF8 reports whether a text is valid UTF-8.
func validUTF8(text []byte, vectors bool) bool {
	blocks := len(text) - len(text)%block
	if !vectors || blocks == 0 {
		return utf8.Valid(text)
	}
	return validBlocks(text[:blocks]) && utf8.Valid(text[lastRune(text, blocks):])
}

// lastRune returns the offset of the last character that starts before end, if end
// follows at most three continuation bytes.
func lastRune(text []byte, end int) int {
	for at := end - 1; at >= max(0, end-utf8.UTFMax); at-- {
		if utf8.RuneStart(text[at]) {
			return at
		}
	}
	return end
}
