//go:build linux

package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// otlpTime is the time of the first record, in nanoseconds: not a whole millisecond, as the
// times of SDKs.
const otlpTime = 1_790_000_000_123_456_789

// otlpRecords is OTLP/HTTP in protobuf, to analyzers that take the same. Records have 8
// attributes of the resource and 3 of their own, a trace and a span.
func otlpRecords() *recordFormat {
	return &recordFormat{
		head:         "POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n",
		build:        buildOTLP,
		recordOutput: otlpOutput(&otlpReader{resource: otlpResource(), scope: otlpScope()}, otlpRecord),
	}
}

func gzipOTLPRecords() *recordFormat {
	f := otlpRecords()
	f.head += "Content-Encoding: gzip\r\n"
	f.compress = newGzip().compress
	return f
}

func buildOTLP(r *request) {
	body, resourceLogs := protobuf.Open(r.body, otlp.RequestResourceLogs)
	body = append(body, otlpResource()...)
	body, scopeLogs := protobuf.Open(body, otlp.ResourceLogsScopeLogs)
	body = append(body, otlpScope()...)
	for n := range requestRecords {
		record := otlpRecord(n)
		id := bytes.Index(record, noID)
		body = protobuf.AppendText(body, otlp.ScopeLogsLogRecords, record)
		r.ids = append(r.ids, len(body)-len(record)+id)
	}
	length := len(body)
	r.body = protobuf.Close(protobuf.Close(body, scopeLogs), resourceLogs)
	r.moveIDs(len(r.body) - length)
}

func otlpPair(dst []byte, tag byte, key, value string) []byte {
	dst, pair := protobuf.Open(dst, tag)
	dst = protobuf.AppendText(dst, otlp.KeyValueKey, []byte(key))
	dst, inner := protobuf.Open(dst, otlp.KeyValueValue)
	dst = protobuf.AppendText(dst, otlp.ValueString, []byte(value))
	return protobuf.Close(protobuf.Close(dst, inner), pair)
}

// otlpResource returns the field of ResourceLogs.
func otlpResource() []byte {
	dst, resource := protobuf.Open(nil, otlp.ResourceLogsResource)
	for _, pair := range otlpResourcePairs() {
		dst = otlpPair(dst, otlp.ResourceAttributes, pair[0], pair[1])
	}
	return protobuf.Close(dst, resource)
}

// otlpResourcePairs are the attributes of the resource.
func otlpResourcePairs() (pairs [][2]string) {
	for _, key := range []string{
		"service.name", "service.instance.id", "host.name", "k8s.pod.name", "k8s.namespace.name", "os.type", "cloud.region", "deployment.environment.name",
	} {
		pairs = append(pairs, [2]string{key, "value-of-" + key})
	}
	return pairs
}

const otlpScopeName = "example.com/scope"

func otlpSeverity(level string) uint64 {
	return map[string]uint64{"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}[level]
}

// otlpScope returns the field of ScopeLogs.
func otlpScope() []byte {
	dst, scope := protobuf.Open(nil, otlp.ScopeLogsScope)
	return protobuf.Close(protobuf.AppendText(dst, otlp.ScopeName, []byte(otlpScopeName)), scope)
}

// otlpRecord returns a LogRecord, of about 270 bytes.
func otlpRecord(n int) []byte {
	level := recordLevel(n)
	record := protobuf.AppendFixed64(nil, otlp.RecordTime, otlpTime+uint64(n)*1001)
	record = protobuf.AppendVarint(record, otlp.RecordSeverityNumber, otlpSeverity(level))
	record = protobuf.AppendText(record, otlp.RecordSeverityText, []byte(level))
	record = otlpBody(record, string(noID)+recordBody(n))
	record = otlpPair(record, otlp.RecordAttributes, "http.request.method", "GET")
	record = otlpPair(record, otlp.RecordAttributes, "url.path", fmt.Sprintf("/api/v1/orders/%05d", n))
	record = otlpPair(record, otlp.RecordAttributes, "user.id", "u-1234567")
	record = protobuf.AppendText(record, otlp.RecordTraceID, fmt.Appendf(nil, "%016d", n*7919))
	record = protobuf.AppendText(record, otlp.RecordSpanID, fmt.Appendf(nil, "%08d", n*7919))
	return protobuf.AppendFixed64(record, otlp.RecordObservedTime, otlpTime+uint64(n)*1001+500)
}

// otlpBody appends the body of a record, a string.
func otlpBody(record []byte, text string) []byte {
	record, body := protobuf.Open(record, otlp.RecordBody)
	return protobuf.Close(protobuf.AppendText(record, otlp.ValueString, []byte(text)), body)
}

// otlpReader reads the records that arrive: field by field, since their order may differ.
type otlpReader struct {
	resource, scope []byte // the fields of ResourceLogs and ScopeLogs
	// translated is set for records of another protocol: the order of their attributes may
	// differ, the time of observation is that of the translation, and the scope is the receiver.
	translated bool
	records    [requestRecords][]otlpField
	id         int         // offset of the id in the body
	fields     []otlpField // of the current message
}

// otlpField is a field of a record.
type otlpField struct {
	tag, kind, number uint64 // kind is the type of a body or an attribute
	text, key         []byte // a string, or that of an attribute
	id                int    // offset of the id in the text, or negative
}

// otlpOutput is OTLP/HTTP in protobuf, where the reader gets each record. The ids of the records
// are noID.
func otlpOutput(o *otlpReader, record func(n int) []byte) recordOutput {
	for n := range requestRecords {
		o.records[n], _ = o.fieldsOf(record(n), nil)
		for i := range o.records[n] {
			field := &o.records[n][i]
			if field.id = bytes.Index(field.text, noID); field.tag == otlp.RecordBody {
				o.id = field.id
			}
		}
	}
	return recordOutput{
		scheme: "otlp+", arrived: o.arrived,
		taken: []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"),
	}
}

// fieldsOf returns the fields of a record in order of their tags, those of the same tag in
// their own order, or in that of their keys.
func (o *otlpReader) fieldsOf(message []byte, fields []otlpField) (_ []otlpField, ok bool) {
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch {
		case f.Tag == otlp.RecordAttributes:
			key, value, ok := otlp.ParsePair(f.Text)
			if !ok {
				return fields, false
			}
			fields = o.appendValue(fields, f.Tag, key, value)
		case f.Tag == otlp.RecordBody:
			value, ok := otlp.ParseValue(f.Text)
			if !ok {
				return fields, false
			}
			fields = o.appendValue(fields, f.Tag, nil, value)
		case o.translated && (f.Tag == otlp.RecordObservedTime || f.Tag&7 == protobuf.Bytes && len(f.Text) == 0):
		case f.Tag&7 == protobuf.Bytes:
			fields = o.insert(fields, otlpField{tag: f.Tag, text: f.Text})
		default:
			fields = o.insert(fields, otlpField{tag: f.Tag, number: f.Number})
		}
	}
	return fields, !f.Malformed
}

// appendValue appends a body or an attribute. Members of a map in a translated record become
// attributes of their own, as their order may differ, too.
func (o *otlpReader) appendValue(fields []otlpField, tag uint64, key []byte, value otlp.Value) []otlpField {
	if !o.translated || value.Tag != otlp.ValueMap {
		return o.insert(fields, otlpField{tag: tag, kind: value.Tag, number: value.Number, text: value.Text, key: key})
	}
	f := protobuf.Fields{Rest: value.Text}
	for f.Next() {
		member, inner, ok := otlp.ParsePair(f.Text)
		if !ok {
			return append(fields, otlpField{}) // equal to no field that was sent
		}
		fields = o.appendValue(fields, tag, slices.Concat(key, []byte{'.'}, member), inner)
	}
	return fields
}

func (o *otlpReader) insert(fields []otlpField, field otlpField) []otlpField {
	at := len(fields)
	for at > 0 && (fields[at-1].tag > field.tag || o.translated && fields[at-1].tag == field.tag && bytes.Compare(fields[at-1].key, field.key) > 0) {
		at--
	}
	return slices.Insert(fields, at, field)
}

func (o *otlpReader) arrived(request []byte, l *ledger) {
	f := protobuf.Fields{Rest: request}
	for f.Next() {
		if f.Tag != otlp.RequestResourceLogs || !o.resourceLogs(f.Text, l) {
			l.damaged++
		}
	}
	if f.Malformed {
		l.damaged++
	}
}

// resourceLogs reports whether the resource is the one that was sent.
func (o *otlpReader) resourceLogs(message []byte, l *ledger) bool {
	resource := false
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case otlp.ResourceLogsResource:
			resource = bytes.Equal(canonical(f.Text), canonical(field(o.resource)))
		case otlp.ResourceLogsScopeLogs:
			if !o.scopeLogs(f.Text, l) {
				return false
			}
		default:
			return false
		}
	}
	return resource && !f.Malformed
}

func (o *otlpReader) scopeLogs(message []byte, l *ledger) bool {
	scope := false
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case otlp.ScopeLogsScope:
			scope = o.translated || bytes.Equal(f.Text, field(o.scope))
		case otlp.ScopeLogsLogRecords:
			l.record(o.record(f.Text, l))
		default:
			return false
		}
	}
	return scope && !f.Malformed
}

// field returns the text of a message's only field.
func field(message []byte) []byte {
	f := protobuf.Fields{Rest: message}
	f.Next()
	return f.Text
}

// canonical returns the attributes of a resource as text.
func canonical(resource []byte) (text []byte) {
	f := protobuf.Fields{Rest: resource}
	for f.Next() {
		key, value, ok := otlp.ParsePair(f.Text)
		text = fmt.Appendf(text, "%d %q %q %t,", f.Tag, key, value.Text, ok)
	}
	return text
}

// record returns the id of a record, and false when it differs from what was sent.
func (o *otlpReader) record(message []byte, l *ledger) (id int64, ok bool) {
	if o.fields, ok = o.fieldsOf(message, o.fields[:0]); !ok {
		return 0, false
	}
	body := slices.IndexFunc(o.fields, func(f otlpField) bool { return f.tag == otlp.RecordBody })
	if body < 0 || len(o.fields[body].text) < o.id {
		return 0, false
	}
	digits := o.fields[body].text[o.id:]
	if id, ok = parseID(digits); !ok || !l.known(id) {
		return id, ok
	}
	return id, slices.EqualFunc(o.fields, o.records[l.index(id)], func(got, sent otlpField) bool {
		return got.tag == sent.tag && got.kind == sent.kind && got.number == sent.number && bytes.Equal(got.key, sent.key) &&
			sent.hasText(got.text, digits[:idDigits])
	})
}

// hasText reports whether a text is that of the field, with other digits in place of its id.
func (f otlpField) hasText(text, digits []byte) bool {
	if f.id < 0 {
		return bytes.Equal(text, f.text)
	}
	end := f.id + idDigits
	return len(text) == len(f.text) && bytes.Equal(text[:f.id], f.text[:f.id]) && bytes.Equal(text[f.id:end], digits) && bytes.Equal(text[end:], f.text[end:])
}
