package loki

import (
	"encoding/binary"
	"math"
)

// The tags of the fields of logproto.PushRequest: number and wire type.
const (
	pushStreams = 1<<3 | lengthType

	streamLabels  = 1<<3 | lengthType
	streamEntries = 2<<3 | lengthType

	entryTime     = 1<<3 | lengthType
	entryLine     = 2<<3 | lengthType
	entryMetadata = 3<<3 | lengthType

	timeSeconds = 1<<3 | varintType
	timeNanos   = 2<<3 | varintType

	pairName  = 1<<3 | lengthType
	pairValue = 2<<3 | lengthType
)

// The wire types of protobuf.
const (
	varintType = iota
	fixed64Type
	lengthType
	_
	_
	fixed32Type
)

// fields walks the fields of a protobuf message.
type fields struct {
	rest      []byte
	malformed bool

	tag    uint64
	number uint64 // of a varint
	bytes  []byte // of lengthType, part of the message
}

// next reads the next field; there is none at the end and if the message is malformed.
func (f *fields) next() bool {
	if len(f.rest) == 0 {
		return false
	}
	f.tag = f.varint()
	f.malformed = f.malformed || f.tag>>3 == 0 || f.tag>>3 > math.MaxInt32
	switch f.tag & 7 {
	case varintType:
		f.number = f.varint()
	case fixed64Type:
		f.skip(8)
	case lengthType:
		f.bytes = f.skip(f.varint())
	case fixed32Type:
		f.skip(4)
	default:
		f.malformed = true
	}
	return !f.malformed
}

func (f *fields) varint() uint64 {
	value, size := binary.Uvarint(f.rest)
	if size <= 0 {
		f.malformed = true
		return 0
	}
	f.rest = f.rest[size:]
	return value
}

// skip returns the next bytes.
func (f *fields) skip(size uint64) []byte {
	if size > uint64(len(f.rest)) {
		f.malformed = true
		return nil
	}
	skipped := f.rest[:size]
	f.rest = f.rest[size:]
	return skipped
}
