package native

// The offsets in a W3C traceparent: version-trace-parent-flags.
const (
	traceparentLength = 55
	traceAt           = 3
	parentAt          = 36
	flagsAt           = 53
)

// traceOf returns a traceparent, or "" if it is not valid.
func traceOf(header []byte) string {
	if isTrace(header) {
		return string(header)
	}
	return ""
}

// isTrace reports whether a header is a valid W3C traceparent.
func isTrace(header []byte) bool {
	if len(header) != traceparentLength || header[traceAt-1] != '-' || header[parentAt-1] != '-' || header[flagsAt-1] != '-' {
		return false
	}
	return isHexadecimal(header[:traceAt-1]) && string(header[:traceAt-1]) != "ff" && isHexadecimal(header[flagsAt:]) &&
		isID(header[traceAt:parentAt-1]) && isID(header[parentAt:flagsAt-1])
}

func isHexadecimal(digits []byte) bool {
	var other byte
	for _, c := range digits { // without a branch for each
		other |= notHexadecimal[c]
	}
	return other == 0
}

// isID reports whether a text is a hexadecimal number that is not zero.
func isID(digits []byte) bool {
	var bits byte
	for _, c := range digits {
		bits |= c ^ '0'
	}
	return bits != 0 && isHexadecimal(digits)
}

// notHexadecimal is 0 for lower-case hexadecimal digits.
var notHexadecimal = func() (table [256]byte) {
	for c := range table {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			table[c] = 1
		}
	}
	return table
}()
