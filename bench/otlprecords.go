//go:build linux

package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/klauspost/compress/gzip"

	"github.com/logstreamer/logstreamer/internal/otlp"
)

// otlpTime is the time of the first record, in nanoseconds: not a whole millisecond, as the
// times of SDKs.
const otlpTime = 1_790_000_000_123_456_789

// otlpRecords is OTLP/HTTP in protobuf, to analyzers that take the same. Records have 8
// attributes of the resource and 3 of their own, a trace and a span.
func otlpRecords() *recordFormat {
	return &recordFormat{
		scheme: "otlp+",
		head:   "POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n",
		build:  buildOTLP, arrived: newOTLPReader().arrived,
		taken: []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"),
	}
}

func gzipOTLPRecords() *recordFormat {
	f := otlpRecords()
	f.head += "Content-Encoding: gzip\r\n"
	f.compress = newGzip()
	return f
}

// newGzip returns a function that compresses as fast as SDKs do.
func newGzip() func(dst, body []byte) []byte {
	writer, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for unknown levels only
	return func(dst, body []byte) []byte {
		compressed := bytes.NewBuffer(dst)
		writer.Reset(compressed)
		_, _ = writer.Write(body) // a bytes.Buffer never fails
		_ = writer.Close()
		return compressed.Bytes()
	}
}

func buildOTLP(r *request) {
	body, resourceLogs := otlp.Open(r.body, otlp.RequestResourceLogs)
	body = append(body, otlpResource()...)
	body, scopeLogs := otlp.Open(body, otlp.ResourceLogsScopeLogs)
	body = append(body, otlpScope()...)
	for n := range requestRecords {
		record, id := otlpRecord(n)
		body = otlp.AppendText(body, otlp.ScopeLogsLogRecords, record)
		r.ids = append(r.ids, len(body)-len(record)+id)
	}
	length := len(body)
	r.body = otlp.Close(otlp.Close(body, scopeLogs), resourceLogs)
	r.moveIDs(len(r.body) - length)
}

func otlpPair(dst []byte, tag byte, key, value string) []byte {
	dst, pair := otlp.Open(dst, tag)
	dst = otlp.AppendText(dst, otlp.KeyValueKey, []byte(key))
	dst, inner := otlp.Open(dst, otlp.KeyValueValue)
	dst = otlp.AppendText(dst, otlp.ValueString, []byte(value))
	return otlp.Close(otlp.Close(dst, inner), pair)
}

// otlpResource returns the field of ResourceLogs.
func otlpResource() []byte {
	dst, resource := otlp.Open(nil, otlp.ResourceLogsResource)
	for _, key := range []string{
		"service.name", "service.instance.id", "host.name", "k8s.pod.name", "k8s.namespace.name", "os.type", "cloud.region", "deployment.environment.name",
	} {
		dst = otlpPair(dst, otlp.ResourceAttributes, key, "value-of-"+key)
	}
	return otlp.Close(dst, resource)
}

// otlpScope returns the field of ScopeLogs.
func otlpScope() []byte {
	dst, scope := otlp.Open(nil, otlp.ScopeLogsScope)
	return otlp.Close(otlp.AppendText(dst, otlp.ScopeName, []byte("example.com/scope")), scope)
}

// otlpRecord returns a LogRecord, of about 270 bytes, and the offset of its id.
func otlpRecord(n int) (record []byte, id int) {
	severity := map[string]uint64{"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}
	level := recordLevel(n)
	record = otlp.AppendFixed64(nil, otlp.RecordTime, otlpTime+uint64(n)*1001)
	record = otlp.AppendVarint(record, otlp.RecordSeverityNumber, severity[level])
	record = otlp.AppendText(record, otlp.RecordSeverityText, []byte(level))
	record, body := otlp.Open(record, otlp.RecordBody)
	record, text := otlp.Open(record, otlp.ValueString)
	id = len(record)
	record = append(append(record, "000000000000"...), recordBody(n)...)
	record = otlp.Close(otlp.Close(record, text), body)
	record = otlpPair(record, otlp.RecordAttributes, "http.request.method", "GET")
	record = otlpPair(record, otlp.RecordAttributes, "url.path", fmt.Sprintf("/api/v1/orders/%05d", n))
	record = otlpPair(record, otlp.RecordAttributes, "user.id", "u-1234567")
	record = otlp.AppendText(record, otlp.RecordTraceID, fmt.Appendf(nil, "%016d", n*7919))
	record = otlp.AppendText(record, otlp.RecordSpanID, fmt.Appendf(nil, "%08d", n*7919))
	return otlp.AppendFixed64(record, otlp.RecordObservedTime, otlpTime+uint64(n)*1001+500), id
}

// otlpReader reads the records that arrive: field by field, since their order may differ.
type otlpReader struct {
	resource, scope []byte
	records         [requestRecords][]otlpField
	texts           [requestRecords][]byte // behind the ids
	fields          []otlpField            // of the current message
}

// otlpField is a field of a record, a resource or a scope.
type otlpField struct {
	tag, number uint64
	text, key   []byte // a string, or that of an attribute
}

func newOTLPReader() *otlpReader {
	o := &otlpReader{resource: otlpResource(), scope: otlpScope()}
	for n := range requestRecords {
		record, _ := otlpRecord(n)
		o.records[n], _ = fieldsOf(record, nil)
		o.texts[n] = []byte(recordBody(n))
		for i := range o.records[n] {
			if o.records[n][i].tag == otlp.RecordBody {
				o.records[n][i].text = o.texts[n]
			}
		}
	}
	return o
}

// fieldsOf returns the fields of a record in order of their tags, those of the same tag in
// their own order.
func fieldsOf(message []byte, fields []otlpField) (_ []otlpField, ok bool) {
	f := otlp.Fields{Rest: message}
	for f.Next() {
		field := otlpField{tag: f.Tag}
		switch f.Tag {
		case otlp.RecordAttributes:
			var value otlp.Value
			field.key, value, ok = otlp.ParsePair(f.Text)
			field.text = value.Text
		case otlp.RecordBody:
			var value otlp.Value
			value, ok = otlp.ParseValue(f.Text)
			field.text = value.Text
		case otlp.RecordTime, otlp.RecordObservedTime, otlp.RecordSeverityNumber:
			field.number, ok = f.Number, true
		default:
			field.text, ok = f.Text, true
		}
		if !ok {
			return fields, false
		}
		at := len(fields)
		for at > 0 && fields[at-1].tag > f.Tag {
			at--
		}
		fields = slices.Insert(fields, at, field)
	}
	return fields, !f.Malformed
}

func (o *otlpReader) arrived(request []byte, l *ledger) {
	f := otlp.Fields{Rest: request}
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
	f := otlp.Fields{Rest: message}
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
	f := otlp.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case otlp.ScopeLogsScope:
			scope = bytes.Equal(f.Text, field(o.scope))
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
	f := otlp.Fields{Rest: message}
	f.Next()
	return f.Text
}

// canonical returns the attributes of a resource as text.
func canonical(resource []byte) (text []byte) {
	f := otlp.Fields{Rest: resource}
	for f.Next() {
		key, value, ok := otlp.ParsePair(f.Text)
		text = fmt.Appendf(text, "%d %q %q %t,", f.Tag, key, value.Text, ok)
	}
	return text
}

// record returns the id of a record, and false when it differs from what was sent.
func (o *otlpReader) record(message []byte, l *ledger) (id int64, ok bool) {
	if o.fields, ok = fieldsOf(message, o.fields[:0]); !ok {
		return 0, false
	}
	body := slices.IndexFunc(o.fields, func(f otlpField) bool { return f.tag == otlp.RecordBody })
	if body < 0 {
		return 0, false
	}
	if id, ok = parseID(o.fields[body].text); !ok || !l.known(id) {
		return id, ok
	}
	n := l.index(id)
	if !bytes.Equal(o.fields[body].text[idDigits:], o.texts[n]) {
		return id, false
	}
	o.fields[body].text = o.texts[n]
	return id, slices.EqualFunc(o.fields, o.records[n], func(a, b otlpField) bool {
		return a.tag == b.tag && a.number == b.number && bytes.Equal(a.key, b.key) && bytes.Equal(a.text, b.text)
	})
}
