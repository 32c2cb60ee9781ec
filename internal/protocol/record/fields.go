package record

import (
	"net/netip"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// Fields finds members of JSON objects by name. A name with dots is that of a member in an
// object in an object, or is one with dots itself. Fields may be used concurrently.
type Fields struct {
	indices map[string]int
	parents map[string]bool // of names with dots
	// lengths has bits for the lengths of names, by the sum of their first and last byte: most
	// other names are not in it, and need no look-up.
	lengths [256]uint64
}

// NewFields returns the Fields of names.
func NewFields(names ...string) *Fields {
	f := &Fields{indices: make(map[string]int), parents: make(map[string]bool)}
	for n, name := range names {
		f.indices[name] = n
		f.allow(name)
		for at, c := range name {
			if c == '.' {
				f.parents[name[:at]] = true
				f.allow(name[:at])
			}
		}
	}
	return f
}

// allow adds a name, which is not empty, to lengths.
func (f *Fields) allow(name string) { f.lengths[name[0]+name[len(name)-1]] |= 1 << (len(name) & 63) }

// mayHave reports whether a name may be an index or a parent.
func (f *Fields) mayHave(name []byte) bool {
	return len(name) > 0 && f.lengths[name[0]+name[len(name)-1]]>>(len(name)&63)&1 != 0
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
	if !f.mayHave(full) {
		return nil
	}
	if n, known := f.indices[string(full)]; known && values[n] == nil && value[0] != 'n' {
		values[n] = value
	}
	if value[0] != '{' || !f.parents[string(full)] {
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
