package clickhouse

import (
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// row encodes records as rows.
type row struct {
	record *record.Reader
	// columns are fields with a column of their own.
	traceID, spanID, traceFlags, severityNumber, scopeName, scopeVersion packet.Text
}

func newRow() *row { return &row{record: record.NewMetadataReader(reserved)} }

// reserved reports the attributes that the row adds.
func reserved(name []byte) bool { return string(name) == "emitter_id" || string(name) == "packet_id" }

// append appends a row. Resource and scope attributes have columns of their own, and are
// left out of the others.
func (w *row) append(dst []byte) []byte {
	r := w.record
	m := &r.Message
	w.findColumns()
	dst = append(dst, `{"Timestamp":"`...)
	dst = record.AppendTime(dst, r.Nanoseconds)
	dst = append(dst, `","ServiceName":`...)
	dst = packet.AppendQuoted(dst, r.Service)
	dst = w.appendText(dst, "SeverityText", m.Level)
	dst = w.appendText(dst, "Body", m.Text)
	dst = w.appendText(dst, "TraceId", w.traceID)
	dst = w.appendText(dst, "SpanId", w.spanID)
	dst = w.appendByte(dst, "TraceFlags", w.traceFlags)
	dst = w.appendByte(dst, "SeverityNumber", w.severityNumber)
	if m.Scope >= 0 {
		scope := &r.Scopes[m.Scope]
		w.scopeName, w.scopeVersion = firstOf(w.scopeName, scope.Name), firstOf(w.scopeVersion, scope.Version)
		dst = w.appendText(dst, "ScopeSchemaUrl", scope.SchemaURL)
		dst = w.appendMap(dst, "ScopeAttributes", scope.Pairs)
	}
	dst = w.appendText(dst, "ScopeName", w.scopeName)
	dst = w.appendText(dst, "ScopeVersion", w.scopeVersion)
	if r.Resource.Present {
		dst = w.appendText(dst, "ResourceSchemaUrl", r.Resource.SchemaURL)
		dst = w.appendMap(dst, "ResourceAttributes", r.Resource.Pairs)
	}
	dst = append(dst, `,"LogAttributes":{"emitter_id":`...)
	dst = r.EmitterID.AppendJSON(dst, r.Body)
	dst = append(dst, `,"packet_id":`...)
	dst = r.PacketID.AppendJSON(dst, r.Body)
	dst = r.AppendStrings(dst)
	return append(dst, "}}\n"...)
}

// findColumns takes the fields that have columns out of the record.
func (w *row) findColumns() {
	w.traceID, w.spanID, w.traceFlags, w.severityNumber = packet.Text{}, packet.Text{}, packet.Text{}, packet.Text{}
	w.scopeName, w.scopeVersion = packet.Text{}, packet.Text{}
	r := w.record
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		column := w.column(f.Name)
		if column == nil || f.Null || (column == &w.traceFlags || column == &w.severityNumber) && !isByte(f.Value.Raw(r.Body)) {
			kept = append(kept, f)
			continue
		}
		*column = f.Value
	}
	r.Fields = kept
}

func (w *row) column(name []byte) *packet.Text {
	switch string(name) {
	case "trace_id":
		return &w.traceID
	case "span_id":
		return &w.spanID
	case "trace_flags":
		return &w.traceFlags
	case "severity_number":
		return &w.severityNumber
	case "otel.scope.name":
		return &w.scopeName
	case "otel.scope.version":
		return &w.scopeVersion
	}
	return nil
}

func firstOf(text, otherwise packet.Text) packet.Text {
	if text.IsEmpty() {
		return otherwise
	}
	return text
}

func isByte(digits []byte) bool {
	_, err := strconv.ParseUint(string(digits), 10, 8)
	return err == nil
}

func (w *row) appendText(dst []byte, column string, text packet.Text) []byte {
	if text.IsEmpty() {
		return dst // the default of the column
	}
	return text.AppendJSON(appendName(dst, column), w.record.Body)
}

// appendByte appends a number that isByte accepted.
func (w *row) appendByte(dst []byte, column string, digits packet.Text) []byte {
	if digits.IsEmpty() {
		return dst
	}
	number, _ := strconv.ParseUint(string(digits.Raw(w.record.Body)), 10, 8)
	return strconv.AppendUint(appendName(dst, column), number, 10)
}

func (w *row) appendMap(dst []byte, column string, pairs []packet.Pair) []byte {
	dst = append(appendName(dst, column), '{')
	first := true
	for i := range pairs {
		p := &pairs[i]
		if p.Null {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = p.Name.AppendJSON(dst, w.record.Body)
		dst = append(dst, ':')
		dst = p.Value.AppendJSON(dst, w.record.Body)
	}
	return append(dst, '}')
}

func appendName(dst []byte, column string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, column...)
	return append(dst, `":`...)
}
