package otlp

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

const (
	traceIDBytes = 16
	spanIDBytes  = 8
	millisecond  = 1_000_000 // nanoseconds
)

// own are the fields of a message's record beside its attributes.
type own struct {
	time                           uint64
	hasTime, hasLevel, hasSeverity bool
	emptyBody                      bool
}

// record appends the fields of the current message as a LogRecord.
func (e *encoder) record() {
	m := &e.packet.Message
	var o own
	for i := range m.Metadata {
		pair := &m.Metadata[i]
		name := e.decodedName(pair.Name)
		if pair.Type == 0 && !pair.Null && e.own(name, pair.Value, &o) {
			continue
		}
		if bytes.HasPrefix(name, []byte(packet.AttributesPrefix)) && packet.IsReservedKey(name, e.packet.Resource.Present) {
			name = name[len(packet.AttributesPrefix):]
		}
		e.dst = e.attribute(e.dst, otlp.RecordAttributes, name, pair)
	}
	if !o.hasTime && m.Timestamp <= int64(^uint64(0)/millisecond) {
		o.time = uint64(m.Timestamp) * millisecond
	}
	if o.time != 0 {
		e.dst = protobuf.AppendFixed64(e.dst, otlp.RecordTime, o.time)
	}
	if !o.hasLevel {
		e.dst = e.appendText(e.dst, otlp.RecordSeverityText, m.Level)
	}
	if !o.hasSeverity && !e.packet.Resource.Present {
		e.dst = protobuf.AppendVarint(e.dst, otlp.RecordSeverityNumber, severityOf(e.decoded(m.Level)))
	}
	e.body(m, o.emptyBody)
}

func (e *encoder) body(m *packet.Message, empty bool) {
	text := m.Text
	if empty {
		text = packet.Text{}
	}
	if m.BodyType == packet.TypeEmpty {
		return
	}
	var begin int
	e.dst, begin = protobuf.Open(e.dst, otlp.RecordBody)
	e.dst = protobuf.Close(e.value(e.dst, text, m.BodyType), begin)
}

// own appends the field of metadata that this service wrote, or left to the resource, and
// reports whether it is one.
func (e *encoder) own(name []byte, value packet.Text, o *own) bool {
	switch string(name) {
	case "time_unix_nano":
		o.time, o.hasTime = e.number(value)
		return o.hasTime
	case "observed_time_unix_nano":
		number, ok := e.number(value)
		if ok {
			e.dst = protobuf.AppendFixed64(e.dst, otlp.RecordObservedTime, number)
		}
		return ok
	case "trace_id":
		return e.id(otlp.RecordTraceID, value, traceIDBytes)
	case "span_id":
		return e.id(otlp.RecordSpanID, value, spanIDBytes)
	case "trace_flags":
		number, ok := e.number(value)
		if ok = ok && number <= math.MaxUint32; ok {
			e.dst = protobuf.AppendFixed32(e.dst, otlp.RecordFlags, uint32(number))
		}
		return ok
	case "severity_number":
		number, err := strconv.ParseInt(string(e.decoded(value)), 10, 32)
		if err != nil {
			return false
		}
		e.dst = protobuf.AppendVarint(e.dst, otlp.RecordSeverityNumber, uint64(number))
		o.hasSeverity = true
	case "severity_text":
		e.dst = e.appendText(e.dst, otlp.RecordSeverityText, value)
		o.hasLevel = true
	case "event_name":
		e.dst = e.appendText(e.dst, otlp.RecordEventName, value)
	case "otel.dropped_attributes_count":
		number, ok := e.number(value)
		if ok = ok && number <= math.MaxUint32; ok {
			e.dst = protobuf.AppendVarint(e.dst, otlp.RecordDropped, number)
		}
		return ok
	case "body_empty":
		o.emptyBody = true
	default:
		return e.packet.Resource.Present && isOfHead(name)
	}
	return true
}

// isOfHead reports whether metadata of messages that came by OTLP repeats only what their packet
// has.
func isOfHead(name []byte) bool {
	switch string(name) {
	case "input", "otel.scope.name", "otel.scope.version":
		return true
	}
	return packet.IsCopiedKey(name)
}

// number returns the value of decimal digits.
func (e *encoder) number(value packet.Text) (number uint64, ok bool) {
	const safeDigits = 19 // always fit into 64 bits
	digits := e.decoded(value)
	if len(digits) > safeDigits {
		number, err := strconv.ParseUint(string(digits), 10, 64)
		return number, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = 10*number + uint64(c-'0')
	}
	return number, len(digits) > 0
}

// id appends an id of size bytes.
func (e *encoder) id(tag byte, value packet.Text, size int) bool {
	digits := e.decoded(value)
	if len(digits) != hex.EncodedLen(size) {
		return false
	}
	var id [traceIDBytes]byte
	if _, err := hex.Decode(id[:size], digits); err != nil {
		return false
	}
	e.dst = protobuf.AppendText(e.dst, tag, id[:size])
	return true
}

// severityOf returns the SeverityNumber of a level's name, that of INFO for an unknown one.
func severityOf(name []byte) uint64 {
	name = bytes.TrimSpace(name)
	level, _ := packet.ParseLevel(name)
	if level == packet.LevelCritical && packet.IsFatal(name) {
		return 21
	}
	return [...]uint64{
		packet.LevelTrace: 1, packet.LevelDebug: 5, packet.LevelInfo: 9, packet.LevelNotice: 10,
		packet.LevelWarn: 13, packet.LevelError: 17, packet.LevelCritical: 18,
	}[level]
}
