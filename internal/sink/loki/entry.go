package loki

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
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
	bytesType  = 2
	streamsTag = 1<<3 | bytesType // of a push

	labelsTag  = 1<<3 | bytesType // of a stream
	entriesTag = 2<<3 | bytesType

	timestampTag = 1<<3 | bytesType // of an entry
	lineTag      = 2<<3 | bytesType
	metadataTag  = 3<<3 | bytesType

	secondsTag = 1 << 3 // of a timestamp
	nanosTag   = 2 << 3

	nameTag  = 1<<3 | bytesType // of a pair
	valueTag = 2<<3 | bytesType
)

// append appends the entry as a field of a stream.
func (e *entry) append(dst []byte, withLevel bool) []byte {
	const second = 1_000_000_000
	r := e.record
	seconds, nanos := uint64(e.nanoseconds/second), uint64(e.nanoseconds%second)
	timestamp := 1 + sizeOf(seconds) + 1 + sizeOf(nanos)
	line := r.Message.Text.DecodedLen(r.Body)
	size := fieldSize(timestamp) + fieldSize(line) + e.metadataSize(withLevel)

	dst = appendTag(dst, entriesTag, size)
	dst = appendTag(dst, timestampTag, timestamp)
	dst = binary.AppendUvarint(append(dst, secondsTag), seconds)
	dst = binary.AppendUvarint(append(dst, nanosTag), nanos)
	dst = appendTag(dst, lineTag, line)
	dst = r.Message.Text.AppendDecoded(dst, r.Body)
	return e.appendMetadata(dst, withLevel)
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
		value := strconv.AppendInt(digits[:0], e.original, 10)
		dst = appendTag(dst, metadataTag, pairSize(len(originalTime), len(value)))
		dst = append(appendTag(dst, nameTag, len(originalTime)), originalTime...)
		dst = append(appendTag(dst, valueTag, len(value)), value...)
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.Value.IsEmpty() { // Loki has no empty values
			dst = appendPair(dst, f.Name, f.Value, r.Body)
		}
	}
	return dst
}

// metadataSize returns the length of what appendMetadata appends.
func (e *entry) metadataSize(withLevel bool) int {
	r := e.record
	field := func(name int, value packet.Text) int { return fieldSize(pairSize(name, value.DecodedLen(r.Body))) }
	size := field(len("emitter_id"), r.EmitterID) + field(len("packet_id"), r.PacketID)
	if withLevel {
		size += field(len("level"), r.Message.Level)
	}
	if e.clamped {
		var digits [20]byte
		size += fieldSize(pairSize(len(originalTime), len(strconv.AppendInt(digits[:0], e.original, 10))))
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.Value.IsEmpty() {
			size += field(len(f.Name), f.Value)
		}
	}
	return size
}

func appendPair[T string | []byte](dst []byte, name T, value packet.Text, body []byte) []byte {
	length := value.DecodedLen(body)
	dst = appendTag(dst, metadataTag, pairSize(len(name), length))
	dst = append(appendTag(dst, nameTag, len(name)), name...)
	return value.AppendDecoded(appendTag(dst, valueTag, length), body)
}

func pairSize(name, value int) int { return fieldSize(name) + fieldSize(value) }

// fieldSize returns the length of a field of bytes, with a tag of one byte.
func fieldSize(length int) int { return 1 + sizeOf(uint64(length)) + length }

// sizeOf returns the length of a varint.
func sizeOf(number uint64) int {
	size := 1
	for ; number >= 0x80; number >>= 7 {
		size++
	}
	return size
}

// appendTag appends the tag and the length of a field of bytes.
func appendTag(dst []byte, tag byte, length int) []byte {
	return binary.AppendUvarint(append(dst, tag), uint64(length))
}
