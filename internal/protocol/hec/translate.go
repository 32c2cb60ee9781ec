package hec

import (
	"bytes"
	"errors"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// splunkError is an error with Splunk's text, for which Splunk has a code.
type splunkError string

// Error implements error.
func (e splunkError) Error() string { return string(e) }

const (
	errNoData  splunkError = "No data"
	errNoEvent splunkError = "Event field is required"
)

var errNoObject = errors.New("an event must be a JSON object")

// refusals are the codes of errors by their texts.
var refusals = map[string]int{
	string(errNoData): codeNoData, string(errNoEvent): codeNoEvent,
}

// envelopeFields are the members around an event.
var envelopeFields = record.NewFields("event", "time", "host", "source", "sourcetype", "index", "fields")

const (
	fieldEvent = iota
	fieldTime
	fieldHost
	fieldSource
	fieldSourcetype
	fieldIndex
	fieldFields
	fieldCount
)

// eventFields find level and message in an event, and in its fields.
var eventFields = record.NewDocumentFields()

// translation adds the records of a body to packets.
type translation func(t *translator, body []byte) error

// translator makes packets of events. It is reused, and must not be used concurrently.
type translator struct {
	request  *receiver.Request
	defaults [fieldCount]string // of the request's query

	values          [fieldCount][]byte
	document, extra record.Document
	message         record.Message
	emitter         []byte
	scratch         []byte
}

// parameters are the names of defaults.
var parameters = map[string]int{"time": fieldTime, "host": fieldHost, "source": fieldSource, "sourcetype": fieldSourcetype, "index": fieldIndex}

func (t *translator) begin(r *server.Request, request *receiver.Request) {
	t.request = request
	for name, n := range parameters {
		t.defaults[n], _ = r.Parameter(name)
	}
}

// trim releases memory that a large request needed.
func (t *translator) trim() {
	t.request = nil
	t.message.Trim()
}

// target returns the path and the defaults, on which the records depend beside the body.
func (t *translator) target(r *server.Request) string {
	target := r.Path
	for _, value := range t.defaults {
		target += "\x00" + value
	}
	return target
}

// events translates events that follow each other, with or without white space between them, or
// in an array.
func (t *translator) events(body []byte) error {
	at, count := jsontext.Space(body, 0), 0
	for at < len(body) {
		end, err := jsontext.Scan(body, at)
		if err != nil {
			return &receiver.UnreadError{Records: count, Err: err}
		}
		added, err := t.value(body[at:end])
		if err != nil {
			return err
		}
		count += added
		at = jsontext.Space(body, end)
	}
	if count == 0 {
		return errNoData
	}
	return nil
}

// value translates an event, or an array of events, and returns their number.
func (t *translator) value(value []byte) (count int, err error) {
	if jsontext.KindOf(value) != jsontext.Array {
		return 1, t.event(value)
	}
	for event := range jsontext.Elements(value) {
		if err := t.event(event); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// event translates an event, or rejects it.
func (t *translator) event(envelope []byte) error {
	if jsontext.KindOf(envelope) != jsontext.Object {
		return t.request.Reject(1, errNoObject)
	}
	envelopeFields.Find(envelope, t.values[:])
	event := t.values[fieldEvent]
	if event == nil {
		return t.request.Reject(1, errNoEvent)
	}
	t.beginMessage(t.text(fieldTime))
	m := &t.message
	t.addFields()
	if jsontext.KindOf(event) == jsontext.Object {
		t.document.Read(event, eventFields)
		t.document.AddTo(m)
	} else {
		m.SetBodyJSON(event)
	}
	return t.add()
}

// beginMessage starts a message with the time of an event, or the default.
func (t *translator) beginMessage(text []byte) {
	nano, _ := record.ParseTime(text)
	t.request.Begin(&t.message, nano)
	t.message.SetString("input", "hec")
}

// addFields adds the envelope's members as metadata, and sets the level if its fields have one.
func (t *translator) addFields() {
	m := &t.message
	for _, one := range [...]struct {
		field int
		name  string
	}{{fieldHost, "host"}, {fieldSource, "source"}, {fieldSourcetype, "sourcetype"}, {fieldIndex, "index"}} {
		if text := t.text(one.field); len(text) > 0 {
			m.Set(one.name, text)
		}
	}
	fields := t.values[fieldFields]
	if fields == nil {
		return
	}
	switch jsontext.KindOf(fields) {
	case jsontext.Null:
	case jsontext.Object:
		t.extra.Read(fields, eventFields)
		t.extra.SetLevel(m)
		for name, value := range t.extra.Unused() {
			m.AddJSON(name, value)
		}
	default:
		m.AddJSON([]byte("fields"), fields)
	}
}

// text returns the text of a member of the envelope, or its default, until the next call.
func (t *translator) text(field int) []byte {
	t.scratch = append(t.scratch[:0], t.defaults[field]...)
	if value := t.values[field]; value != nil {
		if text := record.Text(value, nil); len(text) > 0 {
			t.scratch = append(t.scratch[:0], text...)
		}
	}
	return t.scratch
}

// add adds the message to the packet of its emitter.
func (t *translator) add() error {
	t.emitter = append(t.emitter[:0], t.text(fieldSourcetype)...)
	if len(t.emitter) == 0 {
		t.emitter = append(t.emitter, t.text(fieldSource)...)
	}
	t.emitter = record.AppendInstance(t.emitter, t.text(fieldHost), t.request.Client)
	return t.request.Add(t.request.Packets.Group(t.emitter), &t.message)
}

// lines translates lines of text, each a record.
func (t *translator) lines(body []byte) error {
	t.values = [fieldCount][]byte{}
	count := 0
	for line := range bytes.Lines(body) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			continue
		}
		t.beginMessage(t.text(fieldTime))
		t.addFields()
		t.message.SetBody(line)
		if err := t.add(); err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return errNoData
	}
	return nil
}
