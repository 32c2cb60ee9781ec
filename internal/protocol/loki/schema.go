package loki

import "github.com/logstreamer/logstreamer/internal/protobuf"

// The tags of the fields of logproto.PushRequest: number and wire type.
const (
	pushStreams = 1<<3 | protobuf.Bytes

	streamLabels  = 1<<3 | protobuf.Bytes
	streamEntries = 2<<3 | protobuf.Bytes

	entryTime     = 1<<3 | protobuf.Bytes
	entryLine     = 2<<3 | protobuf.Bytes
	entryMetadata = 3<<3 | protobuf.Bytes

	timeSeconds = 1<<3 | protobuf.Varint
	timeNanos   = 2<<3 | protobuf.Varint

	pairName  = 1<<3 | protobuf.Bytes
	pairValue = 2<<3 | protobuf.Bytes
)
