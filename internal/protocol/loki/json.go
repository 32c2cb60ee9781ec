package loki

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

var (
	errStreams   = errors.New(`the body must be {"streams":[{"stream":{…},"values":[["NANOSECONDS","LINE"],…]},…]}`)
	errTimestamp = errors.New("a timestamp must be a number of nanoseconds since 1970, as a string")
)

// pushJSON translates a push in JSON.
func (t *translator) pushJSON(text []byte) error {
	push, err := jsontext.Valid(text)
	if err != nil {
		return err
	}
	streams, err := member(push, "streams", jsontext.Array)
	if err != nil || streams == nil {
		return errStreams
	}
	for stream := range jsontext.Elements(streams) {
		if err := t.streamJSON(stream); err != nil {
			return err
		}
	}
	return nil
}

// member returns a member of an object, which must have a kind; nil if there is none.
func member(object []byte, name string, kind jsontext.Kind) (found []byte, err error) {
	if jsontext.KindOf(object) != jsontext.Object {
		return nil, errStreams
	}
	for key, value := range jsontext.Members(object) {
		if string(jsontext.Decoded(key, nil)) == name && jsontext.KindOf(value) != jsontext.Null {
			found = value
		}
	}
	if found != nil && jsontext.KindOf(found) != kind {
		return nil, errStreams
	}
	return found, nil
}

// streamJSON translates a stream. One that has no labels as an object is rejected with all of its
// values, and counts as a record if these are no array either.
func (t *translator) streamJSON(stream []byte) error {
	values, err := member(stream, "values", jsontext.Array)
	if err != nil {
		return t.request.Reject(1, err)
	}
	labels, err := member(stream, "stream", jsontext.Object)
	switch {
	case err != nil:
		return t.request.Reject(countElements(values), err)
	case labels == nil && values == nil:
		return t.request.Reject(1, errStreams)
	}
	t.beginStream()
	if labels != nil {
		for name, value := range jsontext.Members(labels) {
			t.addLabelJSON(name, value)
		}
	}
	if values == nil {
		return nil
	}
	if err := t.endLabels(); err != nil {
		return t.request.Reject(countElements(values), err)
	}
	for value := range jsontext.Elements(values) {
		if err := t.request.Reject(1, t.valueJSON(value)); err != nil {
			return err
		}
	}
	return nil
}

// countElements returns the number of elements of an array, or 1 without an array.
func countElements(array []byte) (count int) {
	if array == nil {
		return 1
	}
	for range jsontext.Elements(array) {
		count++
	}
	return count
}

// addLabelJSON adds a label of the stream. One that is no string keeps its type.
func (t *translator) addLabelJSON(name, value []byte) {
	var buffer [64]byte
	decoded := jsontext.Decoded(name, buffer[:0])
	if jsontext.KindOf(value) == jsontext.String {
		t.scratch = jsontext.AppendDecoded(t.scratch[:0], jsontext.Content(value))
		t.addLabel(decoded, t.scratch)
		return
	}
	t.offerLabel(decoded, record.Text(value, nil))
	t.labels.AddJSON(name, value)
}

// valueJSON translates [time, line] or [time, line, {metadata}].
func (t *translator) valueJSON(value []byte) error {
	if jsontext.KindOf(value) != jsontext.Array {
		return errStreams
	}
	var parts [3][]byte
	n := 0
	for element := range jsontext.Elements(value) {
		if n == len(parts) {
			return errStreams
		}
		parts[n] = element
		n++
	}
	if n < 2 || n == len(parts) && jsontext.KindOf(parts[2]) != jsontext.Object {
		return errStreams
	}
	nano, err := parseNanoseconds(parts[0])
	if err != nil {
		return err
	}
	t.beginRecord(nano)
	if n == len(parts) {
		t.addMetadataJSON(parts[2])
	}
	return t.lineJSON(parts[1])
}

func (t *translator) addMetadataJSON(object []byte) {
	for name, value := range jsontext.Members(object) {
		t.offerLevel(jsontext.Decoded(name, nil), record.Text(value, nil))
		t.message.AddJSON(name, value)
	}
}

// lineJSON sets the line of a record and adds the record. A line should be a string; other values are
// accepted as JSON.
func (t *translator) lineJSON(line []byte) error {
	t.message.SetBodyJSON(line)
	var text []byte
	if jsontext.KindOf(line) == jsontext.String && (line[1] == '{' || line[1] == '\\') {
		t.scratch = jsontext.AppendDecoded(t.scratch[:0], jsontext.Content(line))
		text = t.scratch
	}
	t.setLevel(text)
	return t.request.Add(t.group, &t.message)
}

func parseNanoseconds(value []byte) (int64, error) {
	text := bytes.TrimSpace(record.Text(value, nil))
	nano, err := strconv.ParseInt(string(text), 10, 64)
	switch {
	case err != nil:
		return 0, errTimestamp
	case nano < 0:
		return 0, errNegative
	}
	return nano, nil
}
