package packet

// MaxTraceparentBytes is the maximum length of a stored traceparent.
const MaxTraceparentBytes = 255

// StoredTraceparent returns a traceparent, or "" if it is not short printable ASCII, so that it can be
// sent in a header.
func StoredTraceparent(traceparent string) string {
	if len(traceparent) > MaxTraceparentBytes {
		return ""
	}
	for i := range len(traceparent) {
		if traceparent[i] < 0x20 || traceparent[i] > 0x7E {
			return ""
		}
	}
	return traceparent
}
