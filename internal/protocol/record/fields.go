package record

import (
	"net/netip"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// Fields finds members of JSON objects by name. A name with dots is the path of a member in nested
// objects, or the name of one member with dots. Fields may be used concurrently.
type Fields struct {
	names []fieldName
	// first has one more than the place of a name, or 0, by the sum of the name's first and last
	// byte: most other names have 0, and need no comparison.
	first [256]uint8
}

// fieldName is a name of Fields.
type fieldName struct {
	name  string
	index int    // of its value; negative for a name that is a parent only
	path  string // prefix of the names of members in its value; empty if there are none with a name
	next  uint8  // one more than the place of the next name with the same sum, or 0
}

// NewFields returns the Fields of names, of which there are at most 255 with their parents.
func NewFields(names ...string) *Fields {
	f := new(Fields)
	for n, name := range names {
		f.place(name).index = n
		for at, c := range name {
			if c == '.' {
				f.place(name[:at]).path = name[:at+1]
			}
		}
	}
	return f
}

// place returns the place of a name, which is not empty and is added if it is new.
func (f *Fields) place(name string) *fieldName {
	if one := f.of("", []byte(name)); one != nil {
		return one
	}
	first := &f.first[name[0]+name[len(name)-1]]
	f.names = append(f.names, fieldName{name: name, index: -1, next: *first})
	*first = uint8(len(f.names))
	return &f.names[len(f.names)-1]
}

// of returns the place of a name behind a path, or nil.
func (f *Fields) of(path string, name []byte) *fieldName {
	if len(name) == 0 {
		return nil
	}
	sum := name[0]
	if path != "" {
		sum = path[0]
	}
	for n := f.first[sum+name[len(name)-1]]; n != 0; n = f.names[n-1].next {
		one := &f.names[n-1]
		if len(one.name) == len(path)+len(name) && one.name[len(path):] == string(name) && one.name[:len(path)] == path {
			return one
		}
	}
	return nil
}

// Find sets the values of the members of a valid object by the index of their name: nil for a
// member that is missing or null. Of several members with one name the first counts.
func (f *Fields) Find(object []byte, values [][]byte) {
	clear(values)
	f.find(object, "", values)
}

func (f *Fields) find(object []byte, path string, values [][]byte) {
	for name, value := range jsontext.Members(object) {
		one := f.of(path, jsontext.Decoded(name, nil))
		if one == nil {
			continue
		}
		one.set(value, values)
		if value[0] == '{' && one.path != "" {
			f.find(value, one.path, values)
		}
	}
}

// foundField is a member of an object that has a name of Fields.
type foundField struct {
	member int // its number
	name   *fieldName
}

// appendFound appends the fields of an object that an index lists completely.
func (f *Fields) appendFound(found []foundField, index *jsontext.Index) []foundField {
	members, _ := index.Members()
	return f.appendMembers(found, index, members, 0, "")
}

// appendMembers appends the fields among members, the first of which has a number.
func (f *Fields) appendMembers(found []foundField, index *jsontext.Index, members []jsontext.Member, first int, path string) []foundField {
	for n := 0; n < len(members); n++ {
		m, number := &members[n], first+n
		inner := members[n+1:][:m.Inner]
		n += len(inner)
		one := f.of(path, jsontext.Decoded(index.Name(m), nil))
		if one == nil {
			continue
		}
		found = append(found, foundField{number, one})
		if len(inner) > 0 && one.path != "" {
			found = f.appendMembers(found, index, inner, number+1, one.path)
		}
	}
	return found
}

// setFound is Find for fields that were found in an object that an index lists.
func setFound(found []foundField, index *jsontext.Index, values [][]byte) {
	clear(values)
	members, _ := index.Members()
	for n := range found {
		found[n].name.set(index.Value(&members[found[n].member]), values)
	}
}

// set sets the value of the name, unless it is set.
func (n *fieldName) set(value []byte, values [][]byte) {
	if n.index >= 0 && values[n.index] == nil && value[0] != 'n' {
		values[n.index] = value
	}
}

// Text returns the text of a valid value that is a string, a number or a boolean, in scratch if it
// has escapes; it is empty for other values and for no value.
func Text(value, scratch []byte) []byte {
	if value == nil {
		return nil
	}
	switch jsontext.KindOf(value) {
	case jsontext.String:
		return jsontext.Decoded(jsontext.Content(value), scratch)
	case jsontext.Object, jsontext.Array, jsontext.Null:
		return nil
	default:
		return value
	}
}

// AppendInstance appends to the service of a record what makes it the emitter_id: service/instance, or
// the part that is not empty, or the address of the sender.
func AppendInstance(service, instance []byte, sender netip.Addr) []byte {
	switch {
	case len(service) == 0 && len(instance) == 0:
		return sender.AppendTo(service)
	case len(service) > 0 && len(instance) > 0:
		service = append(service, '/')
	}
	return append(service, instance...)
}
