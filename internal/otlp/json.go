package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// AppendRequest appends an ExportLogsServiceRequest in JSON as protobuf. Unknown keys are
// ignored, a null is as if its key were not there. It does not bound the result, which is no
// longer than the JSON.
func AppendRequest(dst, json []byte) ([]byte, error) {
	t := transcoder{scanner: scanner{text: json}, dst: dst}
	t.message(func(key []byte) {
		if is(key, "resourceLogs", "resource_logs") {
			t.list(RequestResourceLogs, t.resourceLogs)
		} else {
			t.skip()
		}
	})
	t.end()
	return t.dst, t.err
}

// AppendValueOfOTLP appends an AnyValue in OTLP/JSON as protobuf.
func AppendValueOfOTLP(dst, json []byte) ([]byte, error) {
	t := transcoder{scanner: scanner{text: json}, dst: dst}
	t.value()
	t.end()
	return t.dst, t.err
}

// AppendValueOfJSON appends any JSON value as an AnyValue: see Value.AppendPlain.
func AppendValueOfJSON(dst, json []byte) ([]byte, error) {
	t := transcoder{scanner: scanner{text: json}, dst: dst}
	t.plain()
	t.end()
	return t.dst, t.err
}

// transcoder appends protobuf as it reads JSON.
type transcoder struct {
	scanner
	dst []byte
}

func is(key []byte, camel, snake string) bool { return string(key) == camel || string(key) == snake }

// message reads an object whose members are those of a message; a null is an empty one.
func (t *transcoder) message(member func(key []byte)) {
	if t.null() {
		return
	}
	t.object(func(key []byte) {
		if !t.null() {
			member(key)
		}
	})
}

// field appends a field of Bytes whose text content appends.
func (t *transcoder) field(tag byte, content func()) {
	var begin int
	t.dst, begin = protobuf.Open(t.dst, tag)
	content()
	t.dst = protobuf.Close(t.dst, begin)
}

// list appends each item of an array as a field.
func (t *transcoder) list(tag byte, item func()) {
	t.array(func() { t.field(tag, item) })
}

func (t *transcoder) text(tag byte) {
	t.field(tag, func() { t.dst = t.string(t.dst) })
}

func (t *transcoder) resourceLogs() {
	t.message(func(key []byte) {
		switch {
		case string(key) == "resource":
			t.field(ResourceLogsResource, t.resource)
		case is(key, "scopeLogs", "scope_logs"):
			t.list(ResourceLogsScopeLogs, t.scopeLogs)
		case is(key, "schemaUrl", "schema_url"):
			t.text(ResourceLogsSchemaURL)
		default:
			t.skip()
		}
	})
}

func (t *transcoder) resource() {
	t.message(func(key []byte) {
		switch {
		case string(key) == "attributes":
			t.list(ResourceAttributes, t.pair)
		case is(key, "droppedAttributesCount", "dropped_attributes_count"):
			t.unsigned(ResourceDropped, 32)
		default:
			t.skip()
		}
	})
}

func (t *transcoder) scopeLogs() {
	t.message(func(key []byte) {
		switch {
		case string(key) == "scope":
			t.field(ScopeLogsScope, t.scope)
		case is(key, "logRecords", "log_records"):
			t.list(ScopeLogsLogRecords, t.record)
		case is(key, "schemaUrl", "schema_url"):
			t.text(ScopeLogsSchemaURL)
		default:
			t.skip()
		}
	})
}

func (t *transcoder) scope() {
	t.message(func(key []byte) {
		switch {
		case string(key) == "name":
			t.text(ScopeName)
		case string(key) == "version":
			t.text(ScopeVersion)
		case string(key) == "attributes":
			t.list(ScopeAttributes, t.pair)
		case is(key, "droppedAttributesCount", "dropped_attributes_count"):
			t.unsigned(ScopeDropped, 32)
		default:
			t.skip()
		}
	})
}

func (t *transcoder) record() {
	t.message(func(key []byte) {
		switch {
		case is(key, "timeUnixNano", "time_unix_nano"):
			t.dst = protobuf.AppendFixed64(t.dst, RecordTime, t.parseUint(64))
		case is(key, "observedTimeUnixNano", "observed_time_unix_nano"):
			t.dst = protobuf.AppendFixed64(t.dst, RecordObservedTime, t.parseUint(64))
		case is(key, "severityNumber", "severity_number"):
			t.severity()
		case is(key, "severityText", "severity_text"):
			t.text(RecordSeverityText)
		case string(key) == "body":
			t.field(RecordBody, t.value)
		case string(key) == "attributes":
			t.list(RecordAttributes, t.pair)
		case is(key, "droppedAttributesCount", "dropped_attributes_count"):
			t.unsigned(RecordDropped, 32)
		case string(key) == "flags":
			t.dst = protobuf.AppendFixed32(t.dst, RecordFlags, uint32(t.parseUint(32)))
		case is(key, "traceId", "trace_id"):
			t.field(RecordTraceID, t.hex)
		case is(key, "spanId", "span_id"):
			t.field(RecordSpanID, t.hex)
		case is(key, "eventName", "event_name"):
			t.text(RecordEventName)
		default:
			t.skip()
		}
	})
}

// severity reads an enum: a number, or the name of one.
func (t *transcoder) severity() {
	text := t.number()
	number, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil {
		if number = severityOf(text); number < 0 {
			t.fail("severityNumber must be an integer")
		}
	}
	t.dst = protobuf.AppendVarint(t.dst, RecordSeverityNumber, uint64(number))
}

// severityOf returns the number of a name such as SEVERITY_NUMBER_INFO2, or -1.
func severityOf(name []byte) int64 {
	name, known := bytes.CutPrefix(name, []byte("SEVERITY_NUMBER_"))
	if !known {
		return -1
	}
	offset := int64(0)
	if last := len(name) - 1; last > 0 && name[last] >= '2' && name[last] <= '4' {
		offset, name = int64(name[last]-'1'), name[:last]
	}
	for n, base := range []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"} {
		if string(name) == base {
			return int64(4*n+1) + offset
		}
	}
	if string(name) == "UNSPECIFIED" {
		return 0
	}
	return -1
}

func (t *transcoder) unsigned(tag byte, bits int) {
	t.dst = protobuf.AppendVarint(t.dst, tag, t.parseUint(bits))
}

// parseUint reads an unsigned integer, in a string or not, perhaps with an exponent.
func (t *transcoder) parseUint(bits int) uint64 {
	text := t.number()
	number, err := strconv.ParseUint(string(text), 10, bits)
	if err == nil {
		return number
	}
	float, err := strconv.ParseFloat(string(text), 64)
	if err != nil || float < 0 || float != math.Trunc(float) || float >= math.Ldexp(1, bits) {
		t.fail("an unsigned integer is expected")
		return 0
	}
	return uint64(float)
}

func (t *transcoder) parseInt() int64 {
	text := t.number()
	number, err := strconv.ParseInt(string(text), 10, 64)
	if err == nil {
		return number
	}
	float, err := strconv.ParseFloat(string(text), 64)
	if err != nil || float != math.Trunc(float) || math.Abs(float) >= 1<<63 {
		t.fail("an integer is expected")
		return 0
	}
	return int64(float)
}

func (t *transcoder) hex() {
	var err error
	if t.dst, err = hex.AppendDecode(t.dst, t.raw()); err != nil {
		t.fail("an id is not hexadecimal")
	}
}

func (t *transcoder) pair() {
	t.message(func(key []byte) {
		switch string(key) {
		case "key":
			t.text(KeyValueKey)
		case "value":
			t.field(KeyValueValue, t.value)
		default:
			t.skip()
		}
	})
}

// value reads an AnyValue.
func (t *transcoder) value() {
	t.message(func(key []byte) {
		switch {
		case is(key, "stringValue", "string_value"):
			t.text(ValueString)
		case is(key, "boolValue", "bool_value"):
			t.dst = protobuf.AppendVarint(t.dst, ValueBool, boolNumber(t.boolean()))
		case is(key, "intValue", "int_value"):
			t.dst = protobuf.AppendVarint(t.dst, ValueInt, uint64(t.parseInt()))
		case is(key, "doubleValue", "double_value"):
			t.dst = protobuf.AppendFixed64(t.dst, ValueDouble, t.double())
		case is(key, "bytesValue", "bytes_value"):
			t.field(ValueBytes, t.base64)
		case is(key, "arrayValue", "array_value"):
			t.field(ValueArray, func() { t.values(t.value) })
		case is(key, "kvlistValue", "kvlist_value"):
			t.field(ValueMap, func() { t.values(t.pair) })
		default:
			t.skip()
		}
	})
}

func (t *transcoder) values(item func()) {
	t.message(func(key []byte) {
		if string(key) == "values" {
			t.list(ListItems, item)
		} else {
			t.skip()
		}
	})
}

func boolNumber(value bool) uint64 {
	if value {
		return 1
	}
	return 0
}

// double reads a number, NaN, Infinity or -Infinity, and returns its bits.
func (t *transcoder) double() uint64 {
	number, err := strconv.ParseFloat(string(t.number()), 64)
	if err != nil {
		t.fail("a number is expected")
	}
	return math.Float64bits(number)
}

// base64 reads either alphabet, with padding or without.
func (t *transcoder) base64() {
	text := bytes.TrimRight(t.key(), "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	var err error
	if t.dst, err = encoding.AppendDecode(t.dst, text); err != nil {
		t.fail("base64 is expected")
	}
}

// plain reads any JSON: integers are ints, other numbers doubles.
func (t *transcoder) plain() {
	switch t.peek() {
	case '{':
		t.field(ValueMap, func() {
			t.object(func(key []byte) {
				t.field(ListItems, func() {
					t.dst = protobuf.AppendText(t.dst, KeyValueKey, key)
					t.field(KeyValueValue, t.plain)
				})
			})
		})
	case '[':
		t.field(ValueArray, func() { t.list(ListItems, t.plain) })
	case '"':
		t.text(ValueString)
	case 't', 'f':
		t.dst = protobuf.AppendVarint(t.dst, ValueBool, boolNumber(t.boolean()))
	case 'n':
		t.literal("null")
	default:
		t.plainNumber()
	}
}

func (t *transcoder) plainNumber() {
	text := t.number()
	if number, err := strconv.ParseInt(string(text), 10, 64); err == nil && string(text) != "-0" {
		t.dst = protobuf.AppendVarint(t.dst, ValueInt, uint64(number))
		return
	}
	number, err := strconv.ParseFloat(string(text), 64)
	if err != nil && t.err == nil {
		t.fail("a number is expected")
	}
	t.dst = protobuf.AppendFixed64(t.dst, ValueDouble, math.Float64bits(number))
}
