package packet

import "golang.org/x/sys/cpu"

// hasVectors reports whether the processor supports markBlocks.
var hasVectors = cpu.X86.HasAVX2

// markBlocks marks the quotes, backslashes and control characters of a text of
// complete blocks, one bit per byte, and reports whether the text has bytes that are
// not ASCII. It requires AVX2, and marks with a length of an eighth of the text.
//
//go:noescape
func markBlocks(marks, text []byte) (nonASCII bool)
