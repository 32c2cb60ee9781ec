package record

import (
	"github.com/valyala/fastjson"
)

// maxDepth is how deep objects are flattened; what is deeper is kept as JSON text.
const maxDepth = 16

// AddObject adds the members of a JSON object as metadata: those of objects in it under names
// with dots, arrays as JSON text. skip, unless nil, reports the top-level members that are
// used otherwise.
func (m *Message) AddObject(object *fastjson.Object, skip func(key []byte) bool) {
	object.Visit(func(key []byte, value *fastjson.Value) {
		if skip == nil || !skip(key) {
			m.AddValue(key, value)
		}
	})
}

// AddValue adds a JSON value as metadata under a key; see AddObject. The key must remain valid.
func (m *Message) AddValue(key []byte, value *fastjson.Value) { m.addValue(key, value, 1) }

func (m *Message) addValue(key []byte, value *fastjson.Value, depth int) {
	switch value.Type() {
	case fastjson.TypeString:
		text, _ := value.StringBytes()
		m.Add(key, text)
	case fastjson.TypeNumber:
		m.scratch = value.MarshalTo(m.scratch[:0])
		m.AddTyped(key, m.scratch, numberType(m.scratch))
	case fastjson.TypeTrue:
		m.AddTyped(key, []byte("true"), Bool)
	case fastjson.TypeFalse:
		m.AddTyped(key, []byte("false"), Bool)
	case fastjson.TypeNull:
		m.AddTyped(key, nil, Empty)
	case fastjson.TypeObject:
		object, _ := value.Object()
		if depth < maxDepth && object.Len() > 0 {
			m.addMembers(key, object, depth+1)
			return
		}
		fallthrough
	default:
		m.scratch = value.MarshalTo(m.scratch[:0])
		m.AddTyped(key, m.scratch, JSON)
	}
}

func (m *Message) addMembers(prefix []byte, object *fastjson.Object, depth int) {
	object.Visit(func(name []byte, value *fastjson.Value) {
		key := make([]byte, 0, len(prefix)+1+len(name))
		key = append(append(append(key, prefix...), '.'), name...)
		m.addValue(key, value, depth)
	})
}

// numberType returns the type of a JSON number.
func numberType(text []byte) byte {
	for _, c := range text {
		if c == '.' || c|0x20 == 'e' {
			return Double
		}
	}
	return Int
}
