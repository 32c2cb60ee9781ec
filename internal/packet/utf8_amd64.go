package packet

// validBlocks reports whether a text of complete blocks is valid UTF-8, except that a
// character may be cut off at its end. It requires AVX2. The method is that of Keiser
// and Lemire, Validating UTF-8 in less than one instruction per byte (2021).
//
//go:noescape
func validBlocks(text []byte) (valid bool)
