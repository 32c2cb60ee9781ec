package loki

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// originalTime is the structured metadata with a time that was clamped, in nanoseconds.
const originalTime = "original_time_unix_nano"

// The times that Loki accepts by default, less a margin for its clock.
const (
	maxAge    = 7*24*time.Hour - time.Hour
	maxFuture = 9 * time.Minute
)

// entry is one entry of a stream.
type entry struct {
	record      *record.Reader
	nanoseconds int64
	clamped     bool
	original    int64
}

// clamp moves a time that Loki refuses to that of the packet's acceptance, so that a retry
// is the same; to now if that is refused, too.
func (e *entry) clamp(accepted, now time.Time) {
	acceptable := func(ns int64) bool {
		at := time.Unix(0, ns)
		return now.Sub(at) < maxAge && at.Sub(now) < maxFuture
	}
	if acceptable(e.nanoseconds) {
		return
	}
	e.original, e.clamped = e.nanoseconds, true
	within := e.nanoseconds % int64(time.Millisecond) // keeps equal lines apart
	e.nanoseconds = accepted.Truncate(time.Millisecond).UnixNano() + within
	if !acceptable(e.nanoseconds) {
		e.nanoseconds = now.Truncate(time.Millisecond).UnixNano() + within
	}
}

// Fields of protobuf messages as tags: the number and the wire type.
const (
	streamsTag = 1<<3 | protobuf.Bytes // of a push

	labelsTag  = 1<<3 | protobuf.Bytes // of a stream
	entriesTag = 2<<3 | protobuf.Bytes

	timestampTag = 1<<3 | protobuf.Bytes // of an entry
	lineTag      = 2<<3 | protobuf.Bytes
	metadataTag  = 3<<3 | protobuf.Bytes

	secondsTag = 1<<3 | protobuf.Varint // of a timestamp
	nanosTag   = 2<<3 | protobuf.Varint

	nameTag  = 1<<3 | protobuf.Bytes // of a pair
	valueTag = 2<<3 | protobuf.Bytes
)

// append appends the entry as a field of a stream.
func (e *entry) append(dst []byte, withLevel bool) []byte {
	const second = 1_000_000_000
	r := e.record
	dst, begin := protobuf.Open(dst, entriesTag)
	dst, timestamp := protobuf.Open(dst, timestampTag)
	dst = protobuf.AppendVarint(dst, secondsTag, uint64(e.nanoseconds/second))
	dst = protobuf.AppendVarint(dst, nanosTag, uint64(e.nanoseconds%second))
	dst = protobuf.Close(dst, timestamp)
	dst = appendText(dst, lineTag, r.Message.Text, r.Body)
	return protobuf.Close(e.appendMetadata(dst, withLevel), begin)
}

// appendMetadata appends the ids and the fields of the record. The packet_id makes equal
// lines of different packets differ.
func (e *entry) appendMetadata(dst []byte, withLevel bool) []byte {
	r := e.record
	dst = appendPair(dst, "emitter_id", r.EmitterID, r.Body)
	dst = appendPair(dst, "packet_id", r.PacketID, r.Body)
	if withLevel {
		dst = appendPair(dst, "level", r.Message.Level, r.Body)
	}
	if e.clamped {
		var digits [20]byte
		var begin int
		dst, begin = protobuf.Open(dst, metadataTag)
		dst = protobuf.AppendText(dst, nameTag, []byte(originalTime))
		dst = protobuf.AppendText(dst, valueTag, strconv.AppendInt(digits[:0], e.original, 10))
		dst = protobuf.Close(dst, begin)
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.Value.IsEmpty() { // Loki has no empty values
			dst = appendPair(dst, f.Name, f.Value, r.Body)
		}
	}
	return dst
}

func appendPair[T string | []byte](dst []byte, name T, value packet.Text, body []byte) []byte {
	dst, begin := protobuf.Open(dst, metadataTag)
	dst, text := protobuf.Open(dst, nameTag)
	dst = protobuf.Close(append(dst, name...), text)
	return protobuf.Close(appendText(dst, valueTag, value, body), begin)
}

// appendText appends a field of the decoded text.
func appendText(dst []byte, tag byte, text packet.Text, body []byte) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(text.DecodedLen(body)))
	return text.AppendDecoded(dst, body)
}
