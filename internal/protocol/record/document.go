package record

import (
	"bytes"
	"iter"
	"net/netip"
	"slices"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// The names of members that have a record's level, and of members that are its message, in order of
// precedence. structuredBodies are names of messages whose values may be of any type.
var (
	levelNames       = []string{"level", "log.level", "severity", "detected_level", "status", "PRIORITY", "priority"}
	bodyNames        = []string{"message", "log", "msg", "MESSAGE", "short_message", "event.original", "full_message"}
	structuredBodies = []string{"message", "msg", "short_message"}
)

// plainLevels is the number of names that are only used for levels: their text is the level, even
// if it is unknown.
const plainLevels = 3

// DocumentFields are the members of documents that a protocol uses, beside those that have the
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

// Document is a record that is a JSON object with names of its own. It is reused, and must not be
// used concurrently.
type Document struct {
	object  []byte
	index   jsontext.Index
	fields  *Fields
	found   []foundField // of fields in objects with the outline, unless that is 0
	outline int
	values  [][]byte // by the index of DocumentFields
	used    [][]byte // values that are not metadata
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

// Trim releases memory that a large document needed, before the Document is kept for long.
func (d *Document) Trim() {
	if len(d.object)+cap(d.scratch)+cap(d.emitter) > KeptBytes {
		*d = Document{}
	}
}

// find finds the fields of the object that the index has read.
func (d *Document) find(object []byte, fields *DocumentFields) {
	if cap(d.values) < fields.count {
		d.values = make([][]byte, fields.count)
		d.skip = d.isUsed
	}
	d.object, d.values, d.used = object, d.values[:fields.count], d.used[:0]
	if _, all := d.index.Members(); !all {
		fields.fields.Find(object, d.values)
		return
	}
	if outline := d.index.Outline(); outline == 0 || outline != d.outline || fields.fields != d.fields {
		d.found = fields.fields.appendFound(d.found[:0], &d.index)
		d.outline, d.fields = outline, fields.fields
	}
	setFound(d.found, &d.index, d.values)
}

// Value returns the value of the name with that index, or nil.
func (d *Document) Value(index int) []byte { return d.values[len(levelNames)+len(bodyNames)+index] }

// Text returns the first value, of some names, that is a text, until the next call.
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

// Time returns the first value, of some names, that is a time as ParseTime accepts it, and the
// value; or 0 and nil.
func (d *Document) Time(indices ...int) (nano int64, from []byte) {
	for _, n := range indices {
		if nano, ok := ParseTime(d.text(d.Value(n))); ok {
			return nano, d.Value(n)
		}
	}
	return 0, nil
}

// Use excludes a value of the document from the metadata.
func (d *Document) Use(value []byte) {
	if value != nil {
		d.used = append(d.used, value)
	}
}

func (d *Document) isUsed(value []byte) bool { return isOneOf(value, d.used) }

// Emitter returns the emitter_id, until the next call; see AppendInstance. Services and instances
// are indices of names; the first name with a text counts.
func (d *Document) Emitter(services, instances []int, sender netip.Addr) []byte {
	d.emitter = append(d.emitter[:0], d.Text(services...)...)
	d.emitter = AppendInstance(d.emitter, d.Text(instances...), sender)
	return d.emitter
}

// AddTo sets level and message, unless they are set, and adds all other members as metadata; see
// SetTo.
func (d *Document) AddTo(m *Message) {
	if !d.SetTo(m) {
		return
	}
	if _, all := d.index.Members(); all {
		m.addListed(&d.index, d.used)
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

// SetLevel sets the level from the first member with a known level, or else from the first member
// that is only used for levels.
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
	m.metadata = append(append(append(m.metadata, `,"body_key":"`...), name...), '"')
	d.Use(value)
}
