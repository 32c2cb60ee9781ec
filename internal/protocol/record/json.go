package record

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

const (
	// maxDepth is the maximum depth at which objects are flattened; deeper objects are kept as JSON
	// text.
	maxDepth = 16
	// maxPrefix bounds the prefix of a flattened value's name, in bytes. A value with a longer
	// prefix is kept as JSON text, so that a long name is not repeated for each value.
	maxPrefix = 256
	// maxFlattened bounds the metadata that a message gets from JSON, in bytes: larger metadata is
	// ErrTooLarge. Names of objects are repeated, so the metadata may be much larger than its JSON
	// text.
	maxFlattened = 32 << 20
	// maxMembers bounds the members that a message gets from JSON: a member of 6 bytes takes some
	// 30 bytes of metadata and types.
	maxMembers = 1 << 16
)

// errMembers is the ErrTooLarge of a message with more than maxMembers.
var errMembers = fmt.Errorf("%w: there are more than %d members in JSON", ErrTooLarge, maxMembers)

// AddMembers adds the members of a valid JSON object as metadata: members of nested objects under
// names with dots, arrays as JSON text. skip, unless nil, reports the values, parts of the object,
// that are used otherwise.
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

// addListed is AddMembers for an object that an index lists completely, without the used values.
func (m *Message) addListed(index *jsontext.Index, used [][]byte) {
	members, _ := index.Members()
	if begins := m.begins.of(m, index); begins != nil {
		m.addOutlined(index, members, begins, used)
		return
	}
	m.addInner(index, members, func(value []byte) bool { return isOneOf(value, used) }, 0, 1)
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
// value is an object whose members are to be added under the path instead.
func (m *Message) addValue(prefix int, name, value []byte, skip func(value []byte) bool, depth int) (members bool) {
	if skip != nil && skip(value) {
		return false
	}
	if m.members++; m.isTooLarge() {
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
		m.addTypedContent(name, value, packet.TypeBool)
	case jsontext.Null:
		m.addTypedContent(name, nil, packet.TypeEmpty)
	case jsontext.Object:
		if isFlattened(name, depth) && !jsontext.IsEmpty(value) {
			m.path = append(append(m.path[:prefix], name[prefix:]...), '.')
			return true
		}
		fallthrough
	default:
		m.addTypedContent(name, m.contentOf(value), packet.TypeJSON)
	}
	return false
}

// isFlattened reports whether the members of an object with a name are added instead of the object.
func isFlattened(name []byte, depth int) bool { return depth < maxDepth && len(name) < maxPrefix }

// contentOf returns a value's text as the content of a JSON string, until the next call.
func (m *Message) contentOf(value []byte) []byte {
	m.scratch = jsontext.AppendCompact(m.scratch[:0], value)
	end := len(m.scratch)
	m.scratch = m.appendText(m.scratch, m.scratch[:end])
	return m.scratch[end:]
}

// isTooLarge reports whether the message has too many members, or is larger than any packet may be.
func (m *Message) isTooLarge() bool {
	switch {
	case m.fault != nil:
	case m.members > maxMembers:
		m.fault = errMembers
	case len(m.metadata)+len(m.types) > maxFlattened:
		m.fault = ErrTooLarge
	}
	return m.fault != nil
}

// addTypedContent is addContent for a value that is not a text.
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
	if packet.IsReservedKey(jsontext.Decoded(name, nil), m.Copies) {
		dst = append(dst, packet.AttributesPrefix...)
	}
	return m.appendContent(dst, name)
}

// appendContent appends the content of a JSON string. Each byte of invalid UTF-8, and each half of
// a surrogate pair, which strict readers of JSON refuse, becomes U+FFFD.
func (m *Message) appendContent(dst, content []byte) []byte {
	if isPlainText(content) || utf8.Valid(content) && !jsontext.HasHalfPair(content) {
		return append(dst, content...)
	}
	m.invalid = true
	dst, _ = AppendText(dst, jsontext.AppendDecoded(nil, content))
	return dst
}

// SetBodyJSON sets the message to a valid JSON value: the text of a string, otherwise compact JSON,
// whose type is kept.
func (m *Message) SetBodyJSON(value []byte) {
	kind := jsontext.KindOf(value)
	if kind == jsontext.String {
		content := jsontext.Content(value)
		m.body, m.empty = m.appendContent(m.body[:0], content), len(content) == 0
		return
	}
	if kind == jsontext.Null {
		m.SetBody(nil)
		m.SetBodyType(packet.TypeEmpty)
		return
	}
	m.scratch = jsontext.AppendCompact(m.scratch[:0], value)
	m.SetBody(m.scratch)
	switch kind {
	case jsontext.Number:
		m.SetBodyType(numberType(value))
	case jsontext.True, jsontext.False:
		m.SetBodyType(packet.TypeBool)
	default:
		m.SetBodyType(packet.TypeJSON)
	}
}

// numberType returns the type of a JSON number.
func numberType(text []byte) byte {
	for _, c := range text {
		if c == '.' || c|0x20 == 'e' {
			return packet.TypeDouble
		}
	}
	if len(text) >= maxIntDigits {
		if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
			return packet.TypeJSON
		}
	}
	return packet.TypeInt
}

// maxIntDigits is the number of digits from which a number may not be an int64.
const maxIntDigits = 19
