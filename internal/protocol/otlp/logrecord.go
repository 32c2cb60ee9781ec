package otlp

import (
	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// logRecord are the fields of a LogRecord beside its attributes.
type logRecord struct {
	time, observed         uint64
	severity               int32
	flags, dropped         uint32
	severityText, body     []byte
	traceID, spanID, event []byte
}

// record begins and fills the message of a LogRecord.
func (t *translator) record(message []byte, s *scope, index int) error {
	var r logRecord
	if err := t.parse(message, &r); err != nil {
		return err
	}
	t.begin(&r)
	t.message.SetMembers(s.members)
	t.own(&r)
	if index >= 0 {
		t.message.SetScope(index)
	}
	if err := t.body(r.body); err != nil {
		return err
	}
	err := t.addAttributes()
	t.strict = t.strict && !t.message.IsInvalid() && hasLength(r.traceID, traceIDBytes) && hasLength(r.spanID, spanIDBytes)
	return err
}

// parse reads the fields of a LogRecord into r and t.attributes.
func (t *translator) parse(message []byte, r *logRecord) error {
	t.attributes = t.attributes[:0]
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case otlp.RecordTime:
			r.time = f.Number
		case otlp.RecordObservedTime:
			r.observed = f.Number
		case otlp.RecordSeverityNumber:
			r.severity = int32(f.Number)
		case otlp.RecordSeverityText:
			r.severityText = f.Text
		case otlp.RecordBody:
			t.strict = t.strict && r.body == nil && otlp.IsStrictValue(f.Text)
			r.body = f.Text
		case otlp.RecordAttributes:
			if len(t.attributes) == maxAttributes {
				return errAttributes
			}
			if !t.attribute(f.Text) {
				return otlp.ErrMalformed
			}
		case otlp.RecordDropped:
			r.dropped = uint32(f.Number)
		case otlp.RecordFlags:
			r.flags = uint32(f.Number)
		case otlp.RecordTraceID:
			r.traceID = f.Text
		case otlp.RecordSpanID:
			r.spanID = f.Text
		case otlp.RecordEventName:
			r.event = f.Text
		default:
			t.strict = false
		}
	}
	if f.Malformed {
		return otlp.ErrMalformed
	}
	return nil
}

// attribute adds a KeyValue to the attributes, and reports whether it is well-formed.
func (t *translator) attribute(message []byte) bool {
	if key, text, ok := otlp.ParseShortPair(message); ok {
		t.attributes = append(t.attributes, attribute{key, otlp.Value{Tag: otlp.ValueString, Text: text}})
		return true
	}
	key, value, ok := otlp.ParsePair(message)
	t.strict = t.strict && otlp.IsStrictPair(message)
	t.attributes = append(t.attributes, attribute{key, value})
	return ok
}

// The lengths of ids that receivers accept.
const (
	traceIDBytes = 16
	spanIDBytes  = 8
)

// hasLength reports whether an id has a length, or is missing.
func hasLength(id []byte, bytes int) bool { return len(id) == bytes || len(id) == 0 }

// begin begins the message with its timestamp.
func (t *translator) begin(r *logRecord) {
	milliseconds := r.time / millisecond
	if milliseconds == 0 {
		milliseconds = r.observed / millisecond
	}
	if milliseconds == 0 {
		milliseconds = uint64(t.now.UnixMilli())
		t.summary.untimed = true
	} else if record.IsSkewed(int64(milliseconds), t.now) {
		t.into.Skewed++
	}
	t.message.Begin(int64(milliseconds))
	if r.time%millisecond != 0 || r.time == 0 {
		t.message.SetUint("time_unix_nano", r.time)
	}
}

// own sets the level and the metadata of this service.
func (t *translator) own(r *logRecord) {
	m := &t.message
	level := record.OTLPLevel(r.severity)
	if level != "" {
		m.SetLevel(level)
	} else {
		m.SetLevelText(r.severityText)
	}
	if !m.LevelIs(r.severityText) {
		m.Set("severity_text", r.severityText)
	}
	if r.severity != 0 {
		m.SetInt("severity_number", int64(r.severity))
	}
	if r.observed != 0 {
		m.SetUint("observed_time_unix_nano", r.observed)
	}
	if len(r.traceID) > 0 {
		m.SetHex("trace_id", r.traceID)
	}
	if len(r.spanID) > 0 {
		m.SetHex("span_id", r.spanID)
	}
	if r.flags != 0 {
		m.SetUint("trace_flags", uint64(r.flags))
	}
	if len(r.event) > 0 {
		m.Set("event_name", r.event)
	}
	if r.dropped != 0 {
		m.SetUint("otel.dropped_attributes_count", uint64(r.dropped))
	}
}

// body sets the text of the message.
func (t *translator) body(message []byte) error {
	value, ok := otlp.ParseValue(message)
	if !ok {
		return otlp.ErrMalformed
	}
	if value.Tag == otlp.ValueString {
		t.message.SetBody(value.Text)
		return nil
	}
	text, kind, err := value.AppendPlain(t.text[:0])
	t.text = text
	if err != nil {
		return err
	}
	t.message.SetBody(text)
	t.message.SetBodyType(kind)
	return nil
}

func (t *translator) addAttributes() error {
	repeated := hasRepeated(t.attributes)
	for i := range t.attributes {
		a := &t.attributes[i]
		if a.value.Tag == otlp.ValueString && !repeated {
			t.message.Add(a.key, a.value.Text)
			continue
		}
		text, kind, err := appendTyped(t.text[:0], a.value, repeated)
		t.text = text
		if err != nil {
			return err
		}
		t.message.AddTyped(a.key, text, kind)
	}
	return nil
}

// appendTyped appends a value and returns its type. A string has a type if types are needed to
// distinguish attributes with the same key.
func appendTyped(dst []byte, value otlp.Value, repeated bool) (_ []byte, kind byte, err error) {
	if value.Tag == otlp.ValueString && repeated {
		dst, err = value.AppendOTLP(dst)
		return dst, packet.TypeOTLP, err
	}
	return value.AppendPlain(dst)
}
