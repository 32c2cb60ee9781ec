package ingest

import "bytes"

// head is what matters of a usual request's header.
type head struct {
	size   int // bytes of the header itself
	length int // of the body that follows
	kind   bodyKind
	// traceparent is a part of what was parsed, or nil.
	traceparent []byte
}

// usualLine is how nearly all requests begin.
var usualLine = []byte("POST /ingest HTTP/1.1\r\n")

// parseHead reads the header of a request of packets as nearly all emitters
// write it: whole, well-formed, with a length and nothing that asks for more
// than to take the body. It says no to anything else, without saying why: that
// is for the library's parser to judge. So it must never say yes to what that
// one would refuse or read in another way.
func parseHead(text []byte) (h head, usual bool) {
	if !bytes.HasPrefix(text, usualLine) {
		return h, false
	}
	h.length, h.kind = -1, singlePacket
	var seen seenFields
	at := len(usualLine)
	for {
		end := bytes.IndexByte(text[at:min(len(text), mostHeader)], '\n')
		if end < 1 || text[at+end-1] != '\r' {
			return h, false
		}
		line := text[at : at+end-1]
		at += end + 1
		if len(line) == 0 {
			h.size = at
			return h, h.length >= 0 && seen&seenHost != 0
		}
		if !h.field(line, &seen) {
			return h, false
		}
	}
}

// seenFields are the fields that may come once.
type seenFields uint8

const (
	seenHost seenFields = 1 << iota
	seenLength
	seenType
	seenTrace
)

// once notes a field and tells whether it came before.
func (s *seenFields) once(field seenFields) bool {
	before := *s&field != 0
	*s |= field
	return !before
}

// field takes one line and tells whether it is usual.
func (h *head) field(line []byte, seen *seenFields) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || !isToken(line[:colon]) || !isText(line[colon+1:]) {
		return false
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	switch len(name) {
	case len("Host"):
		if isField(name, "host") {
			return seen.once(seenHost) && len(value) > 0
		}
	case len("Expect"):
		return !isField(name, "expect")
	case len("Upgrade"): // and Trailer
		return !isField(name, "upgrade") && !isField(name, "trailer")
	case len("Connection"):
		return !isField(name, "connection") || isField(value, "keep-alive")
	case len("Traceparent"):
		if isField(name, "traceparent") {
			h.traceparent = value
			return seen.once(seenTrace)
		}
	case len("Content-Type"):
		if isField(name, "content-type") {
			h.kind = kindOf(value)
			return seen.once(seenType) && h.kind != unknownBody
		}
	case len("Content-Length"):
		if isField(name, "content-length") {
			return seen.once(seenLength) && h.setLength(value)
		}
	case len("Content-Encoding"):
		return !isField(name, "content-encoding")
	case len("Transfer-Encoding"):
		return !isField(name, "transfer-encoding")
	}
	return true
}

// setLength takes a length in up to nine digits, which always fit.
func (h *head) setLength(value []byte) bool {
	if len(value) == 0 || len(value) > 9 {
		return false
	}
	h.length = 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		h.length = 10*h.length + int(c-'0')
	}
	return true
}

// isField compares with a name in lower case.
func isField(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isToken tells whether a field's name has none but the plainest characters.
func isToken(name []byte) bool {
	for _, c := range name {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// isText tells whether a field's value has no control characters but tabs.
func isText(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
