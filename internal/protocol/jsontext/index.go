package jsontext

import (
	"math"
	"unsafe"
)

// maxListedBytes bounds the memory of an Index, and with it how many members it lists.
const (
	maxListedBytes = 16 << 10
	maxListed      = maxListedBytes / int(unsafe.Sizeof(Member{}))
)

// Member is a member of an object that an Index lists, as offsets in the text.
type Member struct {
	name, nameEnd uint32 // without the quotes
	value, end    uint32
	// Inner is the number of following members in the list that are in this member's value.
	Inner uint32
}

// Index lists the members of a value that is an object, and the members of objects in it, in the
// order of the text, so that they can be visited without reading the text again. Members of objects
// in arrays are not listed. An Index is reused, and must not be used concurrently.
type Index struct {
	text    []byte
	members []Member
	partial bool
	outline outline
	number  int // see Outline
}

// Read is Valid, and also lists the members of the value.
func (x *Index) Read(text []byte) (value []byte, err error) {
	var ok bool
	if value, x.members, ok = x.outline.read(text, x.members); ok {
		x.text, x.partial, x.number = text, false, x.outline.number
		return value, nil
	}
	x.text, x.partial, x.number = text, len(text) > math.MaxUint32, 0
	s := scanner{text: text, members: x.members[:0], lists: !x.partial}
	value, err = s.only()
	x.members, x.partial = s.members, x.partial || s.full || err != nil
	if !x.partial {
		x.number = x.outline.learn(text, value, x.members)
	}
	return value, err
}

// Outline returns a number that is equal for texts which differ only in the values of members that
// are not objects, and therefore have the same names; or 0. A later text has a higher number unless
// its outline is known.
func (x *Index) Outline() int { return x.number }

// Members returns the members of the text that was read last, until the next Read. They are
// complete only if ok: an Index is bounded, and it lists no member of an invalid text.
func (x *Index) Members() (members []Member, ok bool) { return x.members, !x.partial }

// Name returns the content of the string that is the name of a member, as a part of the text.
func (x *Index) Name(m *Member) []byte { return x.text[m.name:m.nameEnd] }

// Value returns the value of a member, as a part of the text.
func (x *Index) Value(m *Member) []byte { return x.text[m.value:m.end] }

// list lists a member with its name, and returns its number, or refused.
func (s *scanner) list(name, nameEnd int) int {
	if len(s.members) == maxListed {
		s.lists, s.full = false, true
		return refused
	}
	s.members = append(s.members, Member{name: uint32(name), nameEnd: uint32(nameEnd)})
	return len(s.members) - 1
}

// listValue completes the member of a number.
func (s *scanner) listValue(number, value, end int) {
	m := &s.members[number]
	m.value, m.end, m.Inner = uint32(value), uint32(end), uint32(len(s.members)-number-1)
}
