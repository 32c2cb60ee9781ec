package otlp

import "github.com/logstreamer/logstreamer/internal/protobuf"

// The tags of the fields of opentelemetry.proto.logs.v1 and common.v1.
const (
	RequestResourceLogs = 1<<3 | protobuf.Bytes

	ResourceLogsResource  = 1<<3 | protobuf.Bytes
	ResourceLogsScopeLogs = 2<<3 | protobuf.Bytes
	ResourceLogsSchemaURL = 3<<3 | protobuf.Bytes

	ResourceAttributes = 1<<3 | protobuf.Bytes
	ResourceDropped    = 2<<3 | protobuf.Varint

	ScopeLogsScope      = 1<<3 | protobuf.Bytes
	ScopeLogsLogRecords = 2<<3 | protobuf.Bytes
	ScopeLogsSchemaURL  = 3<<3 | protobuf.Bytes

	ScopeName       = 1<<3 | protobuf.Bytes
	ScopeVersion    = 2<<3 | protobuf.Bytes
	ScopeAttributes = 3<<3 | protobuf.Bytes
	ScopeDropped    = 4<<3 | protobuf.Varint

	RecordTime           = 1<<3 | protobuf.Fixed64
	RecordSeverityNumber = 2<<3 | protobuf.Varint
	RecordSeverityText   = 3<<3 | protobuf.Bytes
	RecordBody           = 5<<3 | protobuf.Bytes
	RecordAttributes     = 6<<3 | protobuf.Bytes
	RecordDropped        = 7<<3 | protobuf.Varint
	RecordFlags          = 8<<3 | protobuf.Fixed32
	RecordTraceID        = 9<<3 | protobuf.Bytes
	RecordSpanID         = 10<<3 | protobuf.Bytes
	RecordObservedTime   = 11<<3 | protobuf.Fixed64
	RecordEventName      = 12<<3 | protobuf.Bytes

	KeyValueKey   = 1<<3 | protobuf.Bytes
	KeyValueValue = 2<<3 | protobuf.Bytes

	ValueString = 1<<3 | protobuf.Bytes
	ValueBool   = 2<<3 | protobuf.Varint
	ValueInt    = 3<<3 | protobuf.Varint
	ValueDouble = 4<<3 | protobuf.Fixed64
	ValueArray  = 5<<3 | protobuf.Bytes
	ValueMap    = 6<<3 | protobuf.Bytes
	ValueBytes  = 7<<3 | protobuf.Bytes

	// ListItems is that of both ArrayValue and KeyValueList.
	ListItems = 1<<3 | protobuf.Bytes
)
