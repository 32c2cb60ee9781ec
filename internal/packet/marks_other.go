//go:build !amd64

package packet

// hasVectors tells whether markBlocks is faster than markWords.
const hasVectors = false

func markBlocks(marks, text []byte) (foreign bool) { return markWords(marks, text, false) }
