package packet

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The codes of refusals, as emitters see them.
const (
	// CodeMalformed: the body is not JSON (RFC 8259) in valid UTF-8.
	CodeMalformed = "malformed"
	// CodeInvalid: the body is JSON, up to where it was read, but breaks a
	// rule for packets.
	CodeInvalid = "invalid_packet"
	// CodeTooLarge: the packet has too many messages.
	CodeTooLarge = "too_large"
)

// Refusal says why a body is not taken as a packet. It is the error that Check
// returns.
type Refusal struct {
	// Code is one of the codes above.
	Code string
	// Path is the member at fault, such as messages[3].level; empty for the
	// packet itself. Long names of unknown members are shortened.
	Path string
	// Offset is where in the body the fault is, in bytes.
	Offset int
	// Detail is a sentence for a person that names the rule and the place.
	Detail string
	// PacketID is empty when the packet's id was not seen before the fault.
	PacketID Text
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

// complete writes the detail, of which only the rule is known so far.
func (r *Refusal) complete() {
	subject := r.Path
	if subject == "" {
		subject = "the packet"
	}
	if r.Code == CodeMalformed {
		r.Detail = fmt.Sprintf("%s is not valid JSON: %s at byte %d", subject, r.Detail, r.Offset)
		return
	}
	r.Detail = fmt.Sprintf("%s %s (byte %d)", subject, r.Detail, r.Offset)
}

// prefix puts the name of the enclosing member, or [index], before the path.
func (r *Refusal) prefix(name string) {
	if r.Path != "" && !strings.HasPrefix(r.Path, "[") {
		name += "."
	}
	r.Path = name + r.Path
}

const longestName = 64 // bytes of an unknown member's name in a path

// shorten returns a name without escapes, cut off when it is long, and with
// U+FFFD for what could upset a terminal or a log.
func shorten(name Text, body []byte) string {
	var short []byte
	for raw := name.Raw(body); len(raw) > 0; {
		if len(short) >= longestName {
			return string(short) + "…"
		}
		r, size := decodeRune(raw)
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		short = utf8.AppendRune(short, r)
		raw = raw[size:]
	}
	return string(short)
}
