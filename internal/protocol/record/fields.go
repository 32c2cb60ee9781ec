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
		f.note(name)
		for at, c := range name {
			if c == '.' {
				f.parents[name[:at]] = true
				f.note(name[:at])
			}
		}
	}
	return f
}

// note adds a name, which is not empty, to lengths.
func (f *Fields) note(name string) { f.lengths[name[0]+name[len(name)-1]] |= 1 << (len(name) & 63) }

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
		if len(path)+len(name) > cap(path)-1 {
			continue // no name is that long
		}
		full := append(path, name...)
		if !f.mayHave(full) {
			continue
		}
		if n, known := f.indices[string(full)]; known && values[n] == nil && value[0] != 'n' {
			values[n] = value
		}
		if value[0] == '{' && f.parents[string(full)] {
			f.find(value, append(full, '.'), values)
		}
	}
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
