// Package otlp reads and writes the messages of the OpenTelemetry protocol for logs, in
// protobuf and in JSON, without structures in memory: protobuf is walked, and JSON is
// translated into protobuf.
package otlp

import (
	"errors"

	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// ErrMalformed is that a text is no message of the protocol.
var ErrMalformed = errors.New("the body is no protobuf message of OTLP")

// ErrTooDeep is that a value is nested deeper than MaxDepth.
var ErrTooDeep = errors.New("a value is nested more than 64 deep")

// MaxDepth bounds the nesting of values.
const MaxDepth = 64

// AppendStringPair appends a field that is a KeyValue of a string.
func AppendStringPair(dst []byte, tag byte, key, text []byte) []byte {
	const short = 0x80 // lengths below take one byte
	if size := len(key) + len(text) + 8; size < short {
		dst = append(dst, tag, byte(size-2), KeyValueKey, byte(len(key)))
		dst = append(append(dst, key...), KeyValueValue, byte(len(text)+2), ValueString, byte(len(text)))
		return append(dst, text...)
	}
	dst, begin := protobuf.Open(dst, tag)
	dst = protobuf.AppendText(dst, KeyValueKey, key)
	dst, value := protobuf.Open(dst, KeyValueValue)
	dst = protobuf.AppendText(dst, ValueString, text)
	return protobuf.Close(protobuf.Close(dst, value), begin)
}
