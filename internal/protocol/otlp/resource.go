package otlp

import (
	"strconv"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// resource is the common part of the records of a ResourceLogs. Its memory is reused.
type resource struct {
	text, schemaURL []byte

	emitter []byte // empty without a service and an instance
	head    []byte // "resource":{…},
	members []byte // metadata of each message
	object  object
}

func (r *resource) reset() {
	r.text, r.schemaURL = nil, nil
	r.emitter, r.head, r.members = r.emitter[:0], r.head[:0], r.members[:0]
}

// encode encodes the head, the members and the emitter of the text.
func (r *resource) encode() error {
	if err := r.object.read(r.text, otlp.ResourceAttributes, otlp.ResourceDropped); err != nil {
		return err
	}
	r.head = append(r.head, `"resource":`...)
	r.head = r.object.append(r.head, nil, nil, r.schemaURL)
	r.head = append(r.head, ',')
	if len(r.head) > maxHeadBytes {
		return errHead
	}
	r.members = append(r.members, `,"input":"otlp"`...)
	for i := range r.object.attributes {
		a := &r.object.attributes[i]
		if packet.IsCopiedKey(a.key) && a.value.Tag == otlp.ValueString && len(a.value.Text) > 0 && len(a.value.Text) <= maxCopyBytes {
			r.members = append(packet.AppendQuoted(append(r.members, ','), a.key), ':')
			r.members = record.AppendQuoted(r.members, a.value.Text)
		}
	}
	r.emitter = r.appendEmitter(r.emitter)
	return nil
}

// appendEmitter appends service/instance, or the part that is present.
func (r *resource) appendEmitter(dst []byte) []byte {
	namespace, name := r.object.find("service.namespace"), r.object.find("service.name")
	dst = append(dst, namespace...)
	if len(namespace) > 0 && len(name) > 0 {
		dst = append(dst, '.')
	}
	dst = append(dst, name...)
	for _, key := range []string{"service.instance.id", "k8s.pod.name", "host.name", "container.id"} {
		if instance := r.object.find(key); len(instance) > 0 {
			if len(dst) > 0 {
				dst = append(dst, '/')
			}
			return append(dst, instance...)
		}
	}
	return dst
}

// read reads a ScopeLogs except its records, which it counts.
func (s *scope) read(message []byte, r *resource) error {
	s.logs, s.records, s.head, s.members = message, 0, s.head[:0], append(s.members[:0], r.members...)
	s.strict = true
	var text, schemaURL []byte
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case otlp.ScopeLogsScope:
			s.strict = s.strict && text == nil
			text = f.Text
		case otlp.ScopeLogsSchemaURL:
			schemaURL = f.Text
		case otlp.ScopeLogsLogRecords:
			s.records++
		default:
			s.strict = false
		}
	}
	if f.Malformed {
		return otlp.ErrMalformed
	}
	s.strict = s.strict && utf8.Valid(schemaURL) && otlp.IsStrictObject(text, otlp.ScopeAttributes, otlp.ScopeName, otlp.ScopeVersion, otlp.ScopeDropped)
	return s.encode(text, schemaURL, &r.object)
}

func (s *scope) encode(text, schemaURL []byte, o *object) error {
	var name, version []byte
	f := protobuf.Fields{Rest: text}
	for f.Next() {
		switch f.Tag {
		case otlp.ScopeName:
			name = f.Text
		case otlp.ScopeVersion:
			version = f.Text
		}
	}
	if err := o.read(text, otlp.ScopeAttributes, otlp.ScopeDropped); err != nil {
		return err
	}
	s.head = o.append(s.head, name, version, schemaURL)
	if len(s.head) > maxHeadBytes {
		return errHead
	}
	s.empty = len(s.head) == len("{}")
	if len(name) > 0 && len(name) <= maxCopyBytes {
		s.members = record.AppendQuoted(append(s.members, `,"otel.scope.name":`...), name)
	}
	if len(version) > 0 && len(version) <= maxCopyBytes {
		s.members = record.AppendQuoted(append(s.members, `,"otel.scope.version":`...), version)
	}
	return nil
}

// object is a resource or a scope. Its memory is reused.
type object struct {
	attributes    []attribute
	dropped       uint32
	values, types []byte // members of JSON objects, each with a comma before it
	text          []byte
}

// read reads the attributes and the number of dropped attributes, whose tags are given.
func (o *object) read(message []byte, attributes, dropped uint64) error {
	o.attributes, o.dropped = o.attributes[:0], 0
	o.values, o.types = o.values[:0], o.types[:0]
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case attributes:
			key, value, ok := otlp.ParsePair(f.Text)
			if !ok {
				return otlp.ErrMalformed
			}
			if len(o.attributes) == maxAttributes {
				return errAttributes
			}
			o.attributes = append(o.attributes, attribute{key, value})
		case dropped:
			o.dropped = uint32(f.Number)
		}
	}
	if f.Malformed {
		return otlp.ErrMalformed
	}
	return o.encode()
}

func (o *object) encode() error {
	repeated := hasRepeated(o.attributes)
	for i := range o.attributes {
		a := &o.attributes[i]
		text, kind, err := appendTyped(o.text[:0], a.value, repeated)
		o.text = text
		if err != nil {
			return err
		}
		o.values = append(record.AppendQuoted(append(o.values, ','), a.key), ':')
		o.values = record.AppendQuoted(o.values, text)
		if kind != 0 {
			o.types = append(record.AppendQuoted(append(o.types, ','), a.key), `:"`...)
			o.types = append(o.types, kind, '"')
		}
	}
	return nil
}

// find returns the text of an attribute that is a string, or nil.
func (o *object) find(key string) []byte {
	for i := range o.attributes {
		if a := &o.attributes[i]; string(a.key) == key && a.value.Tag == otlp.ValueString {
			return a.value.Text
		}
	}
	return nil
}

// append appends the object as JSON, without empty members.
func (o *object) append(dst, name, version, schemaURL []byte) []byte {
	dst = append(dst, '{')
	begin := len(dst)
	for _, member := range []struct {
		name string
		text []byte
	}{{"name", name}, {"version", version}, {"schema_url", schemaURL}} {
		if len(member.text) > 0 {
			dst = append(append(append(dst, ',', '"'), member.name...), `":`...)
			dst = record.AppendQuoted(dst, member.text)
		}
	}
	if o.dropped != 0 {
		dst = strconv.AppendUint(append(dst, `,"dropped":`...), uint64(o.dropped), 10)
	}
	if len(o.values) > 0 {
		dst = append(append(append(dst, `,"attributes":{`...), o.values[1:]...), '}')
	}
	if len(o.types) > 0 {
		dst = append(append(append(dst, `,"types":{`...), o.types[1:]...), '}')
	}
	if len(dst) > begin { // without the first comma
		dst = append(dst[:begin], dst[begin+1:]...)
	}
	return append(dst, '}')
}
