package syslog

import (
	"bytes"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// lengthOfStructured returns the length of the elements of structured data at the beginning of
// text, or 0 if they are not well-formed.
func lengthOfStructured(text []byte) int {
	n := 0
	for n < len(text) && text[n] == '[' {
		length := lengthOfElement(text[n:])
		if length == 0 {
			return 0
		}
		n += length
	}
	return n
}

// lengthOfElement returns the length of [id name="value" …], or 0.
func lengthOfElement(text []byte) int {
	n := 1 + lengthOfName(text[1:])
	if n == 1 {
		return 0
	}
	for n < len(text) && text[n] == ' ' {
		name := lengthOfName(text[n+1:])
		n += 1 + name
		if name == 0 || n+1 >= len(text) || text[n] != '=' || text[n+1] != '"' {
			return 0
		}
		value := lengthOfValue(text[n+2:])
		if value < 0 {
			return 0
		}
		n += 2 + value + 1
	}
	if n >= len(text) || text[n] != ']' {
		return 0
	}
	return n + 1
}

// lengthOfName returns the length of a name, which may be longer than the 32 bytes of RFC 5424, as
// real ones are.
func lengthOfName(text []byte) int {
	for n, c := range text {
		if c <= ' ' || c > '~' || c == '=' || c == ']' || c == '"' {
			return n
		}
	}
	return len(text)
}

// lengthOfValue returns the length of the value before a quote, or -1. A bracket without a
// backslash is permitted.
func lengthOfValue(text []byte) int {
	for n := 0; n < len(text); n++ {
		switch text[n] {
		case '\\':
			n++
		case '"':
			return n
		}
	}
	return -1
}

// elements adds structured data as metadata. It is reused, and must not be used concurrently.
type elements struct {
	key   []byte
	value []byte
	names [][]byte // of the current element
}

// addTo adds well-formed elements: sd.ID.NAME for each parameter, sd.ID for an element without one.
// A repeated name gets the suffix .2, .3 and so on.
func (e *elements) addTo(m *record.Message, structured []byte) {
	for len(structured) > 0 {
		id := structured[1 : 1+lengthOfName(structured[1:])]
		e.key = append(append(e.key[:0], "sd."...), id...)
		e.names = e.names[:0]
		structured = structured[1+len(id):]
		if structured[0] == ']' {
			m.SetNamed(e.key, nil)
		}
		for structured[0] == ' ' {
			name := structured[1 : 1+lengthOfName(structured[1:])]
			structured = structured[1+len(name)+len(`="`):]
			value := structured[:lengthOfValue(structured)]
			structured = structured[len(value)+1:]
			e.add(m, len("sd.")+len(id), name, value)
		}
		structured = structured[1:]
	}
}

func (e *elements) add(m *record.Message, prefix int, name, value []byte) {
	e.key = append(append(e.key[:prefix], '.'), name...)
	if again := e.count(name); again > 1 {
		e.key = strconv.AppendInt(append(e.key, '.'), int64(again), 10)
	}
	m.SetNamed(e.key, e.unescape(value))
}

// count returns the number of occurrences of a name, with this one.
func (e *elements) count(name []byte) int {
	const maxNames = 64 // names that are compared
	count := 1
	for _, earlier := range e.names {
		if bytes.Equal(earlier, name) {
			count++
		}
	}
	if len(e.names) < maxNames {
		e.names = append(e.names, name)
	}
	return count
}

// unescape removes the backslash before a quote, a backslash and a bracket; a backslash before
// another character is text.
func (e *elements) unescape(value []byte) []byte {
	if bytes.IndexByte(value, '\\') < 0 {
		return value
	}
	e.value = e.value[:0]
	for n := 0; n < len(value); n++ {
		if value[n] == '\\' && n+1 < len(value) {
			switch value[n+1] {
			case '"', '\\', ']':
				n++
			}
		}
		e.value = append(e.value, value[n])
	}
	return e.value
}
