//go:build !amd64

package packet

import "unicode/utf8"

// hasVectors reports whether markBlocks is faster than markWords.
const hasVectors = false

func markBlocks(marks, text []byte) (nonASCII bool) { return markWords(marks, text, false) }

func validBlocks(text []byte) bool { return utf8.Valid(text) }
