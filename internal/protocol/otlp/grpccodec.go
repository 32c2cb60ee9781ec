package otlp

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// message is a message of gRPC as it is on the wire: data is one that was received, whose
// reference its owner frees, and text one to send.
type message struct {
	data mem.BufferSlice
	text []byte
}

// rawCodec leaves messages as they are.
type rawCodec struct{}

// Name implements encoding.CodecV2.
func (rawCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(m.text)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("%T is no message", v)
	}
	data.Ref()
	m.data = data
	return nil
}
