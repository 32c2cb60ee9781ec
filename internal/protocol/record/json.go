package record

import (
	"strconv"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

const (
	// maxDepth is how deep objects are flattened; what is deeper is kept as JSON text.
	maxDepth = 16
	// maxPrefix bounds the names before that of a flattened value, in bytes. What has longer
	// ones is kept as JSON text, so that a long name is not repeated for each value.
	maxPrefix = 256
	// maxFlattened bounds the metadata that a message gets from JSON, in bytes: what is
	// larger is ErrTooLarge. Names of objects are repeated, so that it may be much larger
	// than the text that it is made of.
	maxFlattened = 32 << 20
)

// AddMembers adds the members of a valid JSON object as metadata: those of objects in it under
// names with dots, arrays as JSON text. skip, unless nil, reports the values, parts of the
// object, that are used otherwise.
func (m *Message) AddMembers(object []byte, skip func(value []byte) bool) {
	m.addMembers(object, skip, 0, 1)
}

// AddJSON adds a valid JSON value as metadata under the content of a JSON string; see
// AddMembers.
func (m *Message) AddJSON(name, value []byte) {
	if m.addValue(0, name, value, nil, 1) {
		m.addMembers(value, nil, len(m.path), 2)
	}
}

// addListed is AddMembers for an object that an index lists completely.
func (m *Message) addListed(index *jsontext.Index, skip func(value []byte) bool) {
	members, _ := index.Members()
	m.addInner(index, members, skip, 0, 1)
}

// addInner adds members under the first bytes of the path.
func (m *Message) addInner(index *jsontext.Index, members []jsontext.Member, skip func(value []byte) bool, prefix, depth int) {
	for n := 0; n < len(members); n++ {
		one := &members[n]
		inner := members[n+1:][:one.Inner]
		if m.addValue(prefix, index.Name(one), index.Value(one), skip, depth) {
			m.addInner(index, inner, skip, len(m.path), depth+1)
		}
		n += len(inner)
	}
}

// addMembers adds members under the first bytes of the path.
func (m *Message) addMembers(object []byte, skip func(value []byte) bool, prefix, depth int) {
	for name, value := range jsontext.Members(object) {
		if m.addValue(prefix, name, value, skip, depth) {
			m.addMembers(value, skip, len(m.path), depth+1)
		}
	}
}

// addValue adds a value under the first bytes of the path and the name. It reports whether the
// value is an object whose members are to be added instead, under the path.
func (m *Message) addValue(prefix int, name, value []byte, skip func(value []byte) bool, depth int) (members bool) {
	if skip != nil && skip(value) {
		return false
	}
	if m.tooLarge = m.tooLarge || len(m.metadata)+len(m.types) > maxFlattened; m.tooLarge {
		return false
	}
	if prefix > 0 {
		m.path = append(m.path[:prefix], name...)
		name = m.path
	}
	switch jsontext.KindOf(value) {
	case jsontext.String:
		m.addContent(name, jsontext.Content(value))
	case jsontext.Number:
		m.addTypedContent(name, value, numberType(value))
	case jsontext.True, jsontext.False:
		m.addTypedContent(name, value, Bool)
	case jsontext.Null:
		m.addTypedContent(name, nil, Empty)
	case jsontext.Object:
		if depth < maxDepth && len(name) < maxPrefix && !jsontext.IsEmpty(value) {
			m.path = append(append(m.path[:prefix], name[prefix:]...), '.')
			return true
		}
		fallthrough
	default:
		m.scratch = jsontext.AppendCompact(m.scratch[:0], value)
		end := len(m.scratch)
		m.scratch = m.appendText(m.scratch, m.scratch[:end])
		m.addTypedContent(name, m.scratch[end:], JSON)
	}
	return false
}

// addTypedContent is addContent for a value that is no text.
func (m *Message) addTypedContent(name, content []byte, kind byte) {
	m.addContent(name, content)
	m.types = append(m.beginMember(m.types, name, true), kind, '"')
}

// addContent adds metadata, the name and the value of which are contents of JSON strings.
func (m *Message) addContent(name, content []byte) {
	m.metadata = m.beginMember(m.metadata, name, true)
	m.metadata = append(m.appendContent(m.metadata, content), '"')
}

// appendName is appendKey for the content of a JSON string.
func (m *Message) appendName(dst, name []byte) []byte {
	dst = append(dst, ',', '"')
	if IsReserved(jsontext.Decoded(name, nil), m.Copies) {
		dst = append(dst, AttributesPrefix...)
	}
	return m.appendContent(dst, name)
}

// appendContent appends the content of a JSON string, in which each byte of invalid UTF-8
// becomes U+FFFD.
func (m *Message) appendContent(dst, content []byte) []byte {
	if utf8.Valid(content) {
		return append(dst, content...)
	}
	m.invalid = true
	for len(content) > 0 {
		r, size := utf8.DecodeRune(content)
		dst = utf8.AppendRune(dst, r)
		content = content[size:]
	}
	return dst
}

// SetBodyJSON sets the message to a valid JSON value: a string's text, otherwise compact JSON,
// the type of which is noted.
func (m *Message) SetBodyJSON(value []byte) {
	kind := jsontext.KindOf(value)
	if kind == jsontext.String {
		content := jsontext.Content(value)
		m.body, m.empty = m.appendContent(m.body[:0], content), len(content) == 0
		return
	}
	if kind == jsontext.Null {
		m.SetBody(nil)
		m.SetBodyType(Empty)
		return
	}
	m.scratch = jsontext.AppendCompact(m.scratch[:0], value)
	m.SetBody(m.scratch)
	switch kind {
	case jsontext.Number:
		m.SetBodyType(numberType(value))
	case jsontext.True, jsontext.False:
		m.SetBodyType(Bool)
	default:
		m.SetBodyType(JSON)
	}
}

// numberType returns the type of a JSON number.
func numberType(text []byte) byte {
	for _, c := range text {
		if c == '.' || c|0x20 == 'e' {
			return Double
		}
	}
	if len(text) >= maxIntDigits {
		if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
			return JSON
		}
	}
	return Int
}

// maxIntDigits is the number of digits from which on a number may not be an int64.
const maxIntDigits = 19
