package record

import (
	"net/netip"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// Fields finds members of JSON objects by name. A name with dots is that of a member in an
// object in an object, or is one with dots itself. Fields may be used concurrently.
type Fields struct {
	names []fieldName
	// first has, by the sum of their first and last byte, one more than the place of a name, or
	// 0: most other names have none, and need no comparison.
	first [256]uint8
}

// fieldName is a name of Fields.
type fieldName struct {
	name   string
	index  int   // of its value; negative for a name that is a parent only
	parent bool  // of names with dots
	next   uint8 // one more than the place of the next name with the same sum, or 0
}

// NewFields returns the Fields of names, of which there are at most 255 with their parents.
func NewFields(names ...string) *Fields {
	f := new(Fields)
	for n, name := range names {
		f.place(name).index = n
		for at, c := range name {
			if c == '.' {
				f.place(name[:at]).parent = true
			}
		}
	}
	return f
}

// place returns the place of a name, which is not empty and is added if it is new.
func (f *Fields) place(name string) *fieldName {
	if one := f.of([]byte(name)); one != nil {
		return one
	}
	first := &f.first[name[0]+name[len(name)-1]]
	f.names = append(f.names, fieldName{name: name, index: -1, next: *first})
	*first = uint8(len(f.names))
	return &f.names[len(f.names)-1]
}

// of returns the place of a name, or nil.
func (f *Fields) of(name []byte) *fieldName {
	if len(name) == 0 {
		return nil
	}
	for n := f.first[name[0]+name[len(name)-1]]; n != 0; n = f.names[n-1].next {
		if one := &f.names[n-1]; one.name == string(name) {
			return one
		}
	}
	return nil
}

// Find sets the values of the members of a valid object by the index of their name: nil for
// one that is missing or null. Of several with one name the first counts.
func (f *Fields) Find(object []byte, values [][]byte) {
	clear(values)
	var path [128]byte
	f.find(object, path[:0], values)
}

func (f *Fields) find(object, path []byte, values [][]byte) {
	for name, value := range jsontext.Members(object) {
		if full := f.note(path, name, value, values); full != nil {
			f.find(value, append(full, '.'), values)
		}
	}
}

// findListed is Find for an object that an index lists completely.
func (f *Fields) findListed(index *jsontext.Index, values [][]byte) {
	clear(values)
	var path [128]byte
	members, _ := index.Members()
	f.findMembers(index, members, path[:0], values)
}

func (f *Fields) findMembers(index *jsontext.Index, members []jsontext.Member, path []byte, values [][]byte) {
	for n := 0; n < len(members); n++ {
		m := &members[n]
		inner := members[n+1:][:m.Inner]
		if full := f.note(path, index.Name(m), index.Value(m), values); full != nil {
			f.findMembers(index, inner, append(full, '.'), values)
		}
		n += len(inner)
	}
}

// note sets the value of a member, unless it is set. If members of the value may have a name that
// is looked for, it returns the name of the member, in the memory of the path before it.
func (f *Fields) note(path, name, value []byte, values [][]byte) (full []byte) {
	if len(path)+len(name) > cap(path)-1 {
		return nil // no name is that long
	}
	full = name
	if len(path) > 0 {
		full = append(path, name...)
	}
	one := f.of(full)
	if one == nil {
		return nil
	}
	if n := one.index; n >= 0 && values[n] == nil && value[0] != 'n' {
		values[n] = value
	}
	if value[0] != '{' || !one.parent {
		return nil
	}
	return append(path, name...)
}

// Text returns the text of a valid value that is a string, a number or a boolean, in scratch if
// it has escapes; it is empty for others and for no value.
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

// AppendEmitter appends the emitter_id of a record: service/instance, or the one of them that
// is not empty, or the address of the sender.
func AppendEmitter(dst, service, instance []byte, sender netip.Addr) []byte {
	switch {
	case len(service) == 0 && len(instance) == 0:
		return sender.AppendTo(dst)
	case len(service) == 0:
		return append(dst, instance...)
	case len(instance) == 0:
		return append(dst, service...)
	}
	return append(append(append(dst, service...), '/'), instance...)
}
