package record

import (
	"slices"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

const (
	// maxBegins bounds the number of members of an object whose beginnings are kept.
	maxBegins = 64
	// maxBeginBytes bounds each of them.
	maxBeginBytes = 256
)

// outlineBegins has the beginnings of the members of objects with one outline, by their index; the
// beginning is empty for objects whose members are added instead.
type outlineBegins struct {
	index    *jsontext.Index
	outline  int
	tried    bool // for the outline, if that is possible
	complete bool
	begins   [][]byte
	path     []byte
}

// of returns the beginnings for the object that an index has read, or nil if they are unknown, such
// as for a new outline.
func (b *outlineBegins) of(m *Message, index *jsontext.Index) [][]byte {
	outline := index.Outline()
	switch {
	case outline == 0:
		return nil
	case b.index != index || b.outline != outline:
		b.index, b.outline, b.tried, b.complete = index, outline, false, false
		return nil
	case !b.tried:
		members, _ := index.Members()
		b.tried, b.complete = true, len(members) <= maxBegins && b.setBegins(m, index, members)
	}
	if !b.complete {
		return nil
	}
	return b.begins
}

// setBegins sets the beginnings, and reports whether there are any.
func (b *outlineBegins) setBegins(m *Message, index *jsontext.Index, members []jsontext.Member) bool {
	b.begins = slices.Grow(b.begins[:0], len(members))[:len(members)]
	return b.setInnerBegins(m, index, members, b.begins, 0, 1)
}

// setInnerBegins sets the beginnings of members under the first bytes of the path.
func (b *outlineBegins) setInnerBegins(m *Message, index *jsontext.Index, members []jsontext.Member, begins [][]byte, prefix, depth int) bool {
	for n := 0; n < len(members); n++ {
		one := &members[n]
		inner := int(one.Inner)
		b.path = append(b.path[:prefix], index.Name(one)...)
		if inner > 0 {
			if !isFlattened(b.path, depth) {
				return false
			}
			begins[n] = begins[n][:0]
			b.path = append(b.path, '.')
			if !b.setInnerBegins(m, index, members[n+1:][:inner], begins[n+1:][:inner], len(b.path), depth+1) {
				return false
			}
			n += inner
			continue
		}
		invalid := m.invalid
		m.invalid = false
		begins[n] = m.beginMember(begins[n][:0], b.path, true)
		isValid := !m.invalid
		m.invalid = invalid
		if !isValid || len(begins[n]) > maxBeginBytes {
			return false
		}
	}
	return true
}

// addOutlined adds the members of an object without the used values.
func (m *Message) addOutlined(index *jsontext.Index, members []jsontext.Member, begins, used [][]byte) {
	begins = begins[:len(members)]
	for n := 0; n < len(members); n++ {
		one := &members[n]
		value := index.Value(one)
		switch {
		case isOneOf(value, used):
			n += int(one.Inner)
		case one.Inner > 0: // its members follow
		case m.isTooLarge():
			return
		default:
			m.addOutlinedValue(begins[n], value)
		}
	}
}

// addOutlinedValue adds a value that is not an object with members.
func (m *Message) addOutlinedValue(begin, value []byte) {
	kind, content := byte(0), value
	switch jsontext.KindOf(value) {
	case jsontext.String:
		content = jsontext.Content(value)
	case jsontext.Number:
		kind = numberType(value)
	case jsontext.True, jsontext.False:
		kind = packet.TypeBool
	case jsontext.Null:
		kind, content = packet.TypeEmpty, nil
	default:
		kind, content = packet.TypeJSON, m.contentOf(value)
	}
	m.metadata = append(m.appendContent(append(m.metadata, begin...), content), '"')
	if kind != 0 {
		m.types = append(append(m.types, begin...), kind, '"')
	}
}

// isOneOf reports whether a value is one of others, as a part of the same text.
func isOneOf(value []byte, others [][]byte) bool {
	for _, one := range others {
		if &one[0] == &value[0] {
			return true
		}
	}
	return false
}
