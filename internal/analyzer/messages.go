package analyzer

import (
	"bytes"
	"encoding/json"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// message is what the analyzer reads of one log record.
type message struct {
	// level is 0 for a name that is not a usual one.
	level packet.Level
	// service is metadata.service, or empty. It may be a part of the packet's
	// body, so who keeps it copies it.
	service []byte
}

// appendMessages appends the messages of a packet to dst, in order. The body
// must have passed packet.Check: nothing is checked again.
func appendMessages(dst []message, body []byte) []message {
	r := reader{body: body}
	r.object(func(name []byte) {
		if string(name) != "messages" {
			r.skip()
			return
		}
		r.array(func() { dst = append(dst, r.message()) })
	})
	return dst
}

// reader walks over JSON that is known to be valid.
type reader struct {
	body []byte
	at   int
}

func (r *reader) message() (m message) {
	r.object(func(name []byte) {
		switch string(name) {
		case "level":
			if level, known := packet.ParseLevel(r.text()); known {
				m.level = level
			}
		case "metadata":
			m.service = r.service()
		default:
			r.skip()
		}
	})
	return m
}

// service reads metadata, which may be null, as may each value in it.
func (r *reader) service() (service []byte) {
	if r.peek() != '{' {
		r.skip()
		return nil
	}
	r.object(func(name []byte) {
		var value []byte
		if r.peek() == '"' {
			value = r.text()
		} else {
			r.skip()
		}
		if string(name) == "service" {
			service = value
		}
	})
	return service
}

// object calls member with each name; member reads the value.
func (r *reader) object(member func(name []byte)) {
	r.next() // {
	for r.peek() != '}' {
		name := r.text()
		r.next() // :
		member(name)
		if r.peek() == ',' {
			r.at++
		}
	}
	r.at++
}

// array calls element for each element; element reads it.
func (r *reader) array(element func()) {
	r.next() // [
	for r.peek() != ']' {
		element()
		if r.peek() == ',' {
			r.at++
		}
	}
	r.at++
}

// skip passes over a value of any type.
func (r *reader) skip() {
	switch r.peek() {
	case '"':
		r.rawText()
	case '{':
		r.object(func([]byte) { r.skip() })
	case '[':
		r.array(r.skip)
	default:
		r.skipScalar()
	}
}

// skipScalar passes over a number, true, false or null.
func (r *reader) skipScalar() {
	for r.at < len(r.body) {
		switch r.body[r.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
		r.at++
	}
}

// text returns the next string without its escapes.
func (r *reader) text() []byte {
	quoted, escaped := r.rawText()
	if !escaped {
		return quoted[1 : len(quoted)-1]
	}
	var decoded string
	_ = json.Unmarshal(quoted, &decoded) // valid, so it cannot fail
	return []byte(decoded)
}

// rawText returns the next string as it stands there, with its quotes.
func (r *reader) rawText() (quoted []byte, escaped bool) {
	r.peek()
	start := r.at
	end := start + 1
	for {
		length := bytes.IndexByte(r.body[end:], '"')
		backslash := bytes.IndexByte(r.body[end:end+length], '\\')
		if backslash < 0 {
			r.at = end + length + 1
			return r.body[start:r.at], escaped
		}
		escaped = true
		end += backslash + 2 // the escaped character may be a quote
	}
}

// peek passes over white space and returns the byte that follows.
func (r *reader) peek() byte {
	for r.body[r.at] <= ' ' {
		r.at++
	}
	return r.body[r.at]
}

// next passes over white space and one byte.
func (r *reader) next() {
	r.peek()
	r.at++
}
