package otlp

// The tags of the fields of opentelemetry.proto.logs.v1 and common.v1.
const (
	RequestResourceLogs = 1<<3 | Bytes

	ResourceLogsResource  = 1<<3 | Bytes
	ResourceLogsScopeLogs = 2<<3 | Bytes
	ResourceLogsSchemaURL = 3<<3 | Bytes

	ResourceAttributes = 1<<3 | Bytes
	ResourceDropped    = 2<<3 | Varint

	ScopeLogsScope      = 1<<3 | Bytes
	ScopeLogsLogRecords = 2<<3 | Bytes
	ScopeLogsSchemaURL  = 3<<3 | Bytes

	ScopeName       = 1<<3 | Bytes
	ScopeVersion    = 2<<3 | Bytes
	ScopeAttributes = 3<<3 | Bytes
	ScopeDropped    = 4<<3 | Varint

	RecordTime           = 1<<3 | Fixed64
	RecordSeverityNumber = 2<<3 | Varint
	RecordSeverityText   = 3<<3 | Bytes
	RecordBody           = 5<<3 | Bytes
	RecordAttributes     = 6<<3 | Bytes
	RecordDropped        = 7<<3 | Varint
	RecordFlags          = 8<<3 | Fixed32
	RecordTraceID        = 9<<3 | Bytes
	RecordSpanID         = 10<<3 | Bytes
	RecordObservedTime   = 11<<3 | Fixed64
	RecordEventName      = 12<<3 | Bytes

	KeyValueKey   = 1<<3 | Bytes
	KeyValueValue = 2<<3 | Bytes

	ValueString = 1<<3 | Bytes
	ValueBool   = 2<<3 | Varint
	ValueInt    = 3<<3 | Varint
	ValueDouble = 4<<3 | Fixed64
	ValueArray  = 5<<3 | Bytes
	ValueMap    = 6<<3 | Bytes
	ValueBytes  = 7<<3 | Bytes

	// ListItems is that of both ArrayValue and KeyValueList.
	ListItems = 1<<3 | Bytes
)
