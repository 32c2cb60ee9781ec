package packet

import "golang.org/x/sys/cpu"

// hasVectors tells whether the processor has what markBlocks needs.
var hasVectors = cpu.X86.HasAVX2

// markBlocks marks the quotes, backslashes and control characters of a text of
// whole blocks, a bit for each byte, and tells whether the text has any byte
// that is not ASCII. It needs AVX2, and marks with a byte for each eight of
// the text.
//
//go:noescape
func markBlocks(marks, text []byte) (foreign bool)
