//go:build !amd64

package packet

// hasVectors reports whether markBlocks is faster than markWords.
const hasVectors = false

func markBlocks(marks, text []byte) (nonASCII bool) { return markWords(marks, text, false) }
