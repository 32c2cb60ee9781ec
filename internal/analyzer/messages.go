package analyzer

import (
	"bytes"
	"encoding/json"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// message holds the decoded fields of a log record.
type message struct {
	// level is 0 for an unknown name.
	level packet.Level
	// service is metadata.service, or empty. It may alias the packet's body.
	service []byte
}

// appendMessages appends the messages of a packet to dst, in order. The body
// must have passed packet.Check.
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

// reader is a cursor over valid JSON.
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

// service reads metadata, which may be null, as may its values.
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

// object calls member with each name; member must consume the value.
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

// array calls element for each element; element must consume it.
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

// skip skips a value of any type.
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

// skipScalar skips a number, true, false or null.
func (r *reader) skipScalar() {
	for r.at < len(r.body) {
		switch r.body[r.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
		r.at++
	}
}

// text returns the next string, unescaped.
func (r *reader) text() []byte {
	quoted, escaped := r.rawText()
	if !escaped {
		return quoted[1 : len(quoted)-1]
	}
	var decode string
	_ = json.Unmarshal(quoted, &decode) // cannot fail: the JSON is valid
	return []byte(decode)
}

// rawText returns the next string as encoded, with quotes.
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

// peek skips white space and returns the next byte.
func (r *reader) peek() byte {
	for r.body[r.at] <= ' ' {
		r.at++
	}
	return r.body[r.at]
}

// next skips white space and one byte.
func (r *reader) next() {
	r.peek()
	r.at++
}
