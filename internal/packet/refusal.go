package packet

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Codes of refusals in HTTP responses.
const (
	// CodeMalformed: the body is not JSON (RFC 8259) in valid UTF-8.
	CodeMalformed = "malformed"
	// CodeInvalid: the body violates a rule for packets, and is valid JSON up to
	// there.
	CodeInvalid = "invalid_packet"
	// CodeTooLarge: the packet has too many messages.
	CodeTooLarge = "too_large"
)

// Refusal is the validation error of Check.
type Refusal struct {
	// Code is one of the codes above.
	Code string
	// Path is the invalid member, such as messages[3].level; empty for the packet
	// itself. Long names of unknown members are truncated.
	Path string
	// Offset is the byte offset of the error in the body.
	Offset int
	// Detail is a description of the rule and the location.
	Detail string
	// PacketID is empty if no id was read before the error.
	PacketID Text
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

// complete adds subject and offset to the detail.
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

// prefix prepends the name of the enclosing member, or [index], to the path.
func (r *Refusal) prefix(name string) {
	if r.Path != "" && !strings.HasPrefix(r.Path, "[") {
		name += "."
	}
	r.Path = name + r.Path
}

const maxNameLen = 64 // bytes of an unknown member's name in a path

// printable returns an unescaped name, truncated, with U+FFFD for characters that
// are not printable.
func printable(name Text, body []byte) string {
	var short []byte
	for raw := name.Raw(body); len(raw) > 0; {
		if len(short) >= maxNameLen {
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
