package packet

import "bytes"

// AttributesPrefix is the prefix of the key of an attribute whose own key is reserved.
const AttributesPrefix = "attributes."

// IsReservedKey reports whether the key of an attribute gets AttributesPrefix, since this service
// writes metadata with the key, or with the rest of the key behind such prefixes. With copies that
// includes the keys of IsCopiedKey. It may be called concurrently.
func IsReservedKey(key []byte, copies bool) bool {
	key = withoutPrefix(key)
	return isWrittenKey(key) || copies && IsCopiedKey(key)
}

// IsCopiedKey reports whether messages copy attributes with a key from their resource. It may be
// called concurrently.
func IsCopiedKey(key []byte) bool {
	switch string(key) {
	case "service.name", "service.instance.id", "host.name", "k8s.namespace.name", "k8s.pod.name", "deployment.environment.name":
		return true
	}
	return false
}

// withoutPrefix returns the key without any AttributesPrefix.
func withoutPrefix(key []byte) []byte {
	for bytes.HasPrefix(key, []byte(AttributesPrefix)) {
		key = key[len(AttributesPrefix):]
	}
	return key
}

func isWrittenKey(key []byte) bool {
	switch string(key) {
	case "trace_id", "span_id", "trace_flags", "severity_number", "severity_text",
		"time_unix_nano", "observed_time_unix_nano", "event_name",
		"otel.scope.name", "otel.scope.version", "otel.dropped_attributes_count",
		"appname", "procid", "msgid", "facility", "es.index", "es.id", "fluent.tag", "input",
		"body_key", "body_empty", "invalid_utf8":
		return true
	}
	return len(key) > len("sd.") && string(key[:3]) == "sd."
}
