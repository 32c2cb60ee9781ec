package record

import (
	"bytes"
	"iter"
	"net/netip"
	"slices"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// The names of members that tell a record's level, and of those that are its message, in the
// order in which they are looked for. structuredBodies are names of messages that need be no
// texts.
var (
	levelNames       = []string{"level", "log.level", "severity", "detected_level", "status", "PRIORITY", "priority"}
	bodyNames        = []string{"message", "log", "msg", "MESSAGE", "short_message", "event.original", "full_message"}
	structuredBodies = []string{"message", "msg", "short_message"}
)

// plainLevels is how many of the names of levels are for nothing else: their text is the level,
// even if it is not known.
const plainLevels = 3

// DocumentFields are the members of documents that a protocol uses, beside those that tell the
// level and the message. They may be used concurrently.
type DocumentFields struct {
	fields *Fields
	count  int
}

// NewDocumentFields returns the fields of names; see Fields.
func NewDocumentFields(names ...string) *DocumentFields {
	all := append(append(append([]string(nil), levelNames...), bodyNames...), names...)
	return &DocumentFields{NewFields(all...), len(all)}
}

// Document is a record that is a JSON object with names of its own. It is reused, and must not
// be used concurrently.
type Document struct {
	object  []byte
	index   jsontext.Index
	values  [][]byte // by the index of DocumentFields
	used    [][]byte // values that are no metadata
	scratch []byte
	emitter []byte
	skip    func(value []byte) bool // isUsed
}

// Read reads a valid JSON object.
func (d *Document) Read(object []byte, fields *DocumentFields) {
	_, _ = d.index.Read(object)
	d.find(object, fields)
}

// Parse reads a text that is a JSON object with white space around it. The error is that of
// jsontext.Valid; isObject is false if the text is another value.
func (d *Document) Parse(text []byte, fields *DocumentFields) (isObject bool, err error) {
	object, err := d.index.Read(text)
	if err != nil || jsontext.KindOf(object) != jsontext.Object {
		return false, err
	}
	d.find(object, fields)
	return true, nil
}

// find finds the fields of the object that the index has read.
func (d *Document) find(object []byte, fields *DocumentFields) {
	if cap(d.values) < fields.count {
		d.values = make([][]byte, fields.count)
		d.skip = d.isUsed
	}
	d.object, d.values, d.used = object, d.values[:fields.count], d.used[:0]
	if _, all := d.index.Members(); all {
		fields.fields.findListed(&d.index, d.values)
	} else {
		fields.fields.Find(object, d.values)
	}
}

// Value returns the value of the name of that index, or nil.
func (d *Document) Value(index int) []byte { return d.values[len(levelNames)+len(bodyNames)+index] }

// Text returns the text of the first value of some names that has one, until the next call.
func (d *Document) Text(indices ...int) []byte {
	for _, n := range indices {
		if text := d.text(d.Value(n)); len(text) > 0 {
			return text
		}
	}
	return nil
}

func (d *Document) text(value []byte) []byte {
	if value == nil || jsontext.KindOf(value) != jsontext.String {
		return Text(value, nil)
	}
	content := jsontext.Content(value)
	if bytes.IndexByte(content, '\\') < 0 {
		return content
	}
	d.scratch = jsontext.AppendDecoded(d.scratch[:0], content)
	return d.scratch
}

// Time returns the time, as ParseTime has it, of the first value of some names that has one, and
// the value; or 0 and nil.
func (d *Document) Time(indices ...int) (nano int64, from []byte) {
	for _, n := range indices {
		if nano, ok := ParseTime(d.text(d.Value(n))); ok {
			return nano, d.Value(n)
		}
	}
	return 0, nil
}

// Use keeps a value of the document out of the metadata.
func (d *Document) Use(value []byte) {
	if value != nil {
		d.used = append(d.used, value)
	}
}

func (d *Document) isUsed(value []byte) bool {
	for _, one := range d.used {
		if &one[0] == &value[0] {
			return true
		}
	}
	return false
}

// Emitter returns the emitter_id, until the next call; see AppendEmitter. Services and
// instances are indices of names, of which the first with a text counts.
func (d *Document) Emitter(services, instances []int, sender netip.Addr) []byte {
	service := d.Text(services...)
	d.emitter = append(d.emitter[:0], service...)
	if service = d.emitter; len(service) == 0 {
		d.emitter = AppendEmitter(d.emitter, nil, d.Text(instances...), sender)
	} else if instance := d.Text(instances...); len(instance) > 0 {
		d.emitter = append(append(d.emitter, '/'), instance...)
	}
	return d.emitter
}

// AddTo sets level and message, unless they are set, and adds all other members as metadata;
// see SetTo.
func (d *Document) AddTo(m *Message) {
	if !d.SetTo(m) {
		return
	}
	if _, all := d.index.Members(); all {
		m.addListed(&d.index, d.skip)
	} else {
		m.AddMembers(d.object, d.skip)
	}
}

// SetTo sets level and message, unless they are set. It reports whether the other members are
// to be metadata: a document without a message is the message itself.
func (d *Document) SetTo(m *Message) (members bool) {
	if !m.HasLevel() {
		d.SetLevel(m)
	}
	return !m.empty || d.setBody(m)
}

// Unused yields the members that are to be metadata: the content of the name's string, and the
// value.
func (d *Document) Unused() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for name, value := range jsontext.Members(d.object) {
			if !d.isUsed(value) && !yield(name, value) {
				return
			}
		}
	}
}

// SetLevel sets the level by the first member with a known one, or else by the first that is
// there for it.
func (d *Document) SetLevel(m *Message) {
	for _, value := range d.values[:len(levelNames)] {
		if value == nil {
			continue
		}
		text := d.text(value)
		if level := LevelOf(text); level != "" {
			m.setKnownLevel(level, text)
			d.Use(value)
			return
		}
	}
	for _, value := range d.values[:plainLevels] {
		if text := d.text(value); len(text) > 0 && len(text) <= maxLevelBytes {
			m.SetLevelText(text)
			d.Use(value)
			return
		}
	}
}

// setBody reports whether a member is the message.
func (d *Document) setBody(m *Message) bool {
	bodies := d.values[len(levelNames):][:len(bodyNames)]
	for n, name := range bodyNames {
		if bodies[n] != nil && jsontext.KindOf(bodies[n]) == jsontext.String {
			d.useBody(m, bodies[n], name)
			return true
		}
	}
	for n, name := range bodyNames {
		if bodies[n] != nil && slices.Contains(structuredBodies, name) {
			d.useBody(m, bodies[n], name)
			return true
		}
	}
	m.SetBodyJSON(d.object)
	return false
}

func (d *Document) useBody(m *Message, value []byte, name string) {
	m.SetBodyJSON(value)
	m.SetString("body_key", name)
	d.Use(value)
}
