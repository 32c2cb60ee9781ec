package native

import "bytes"

// The places of a W3C traceparent: version-trace-parent-flags.
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
	if len(header) != traceparentLength {
		return false
	}
	for i, c := range header {
		dash := i == traceAt-1 || i == parentAt-1 || i == flagsAt-1
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return !bytes.HasPrefix(header, []byte("ff")) &&
		hasValue(header[traceAt:parentAt-1]) && hasValue(header[parentAt:flagsAt-1])
}

// hasValue reports whether a hexadecimal number is not zero.
func hasValue(number []byte) bool { return len(bytes.Trim(number, "0")) > 0 }
