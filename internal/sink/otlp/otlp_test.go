package otlp

import (
	"net/http"
	"testing"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
)

// field returns the first field with a tag of nested messages, the outermost first.
func field(t *testing.T, message []byte, tags ...uint64) protobuf.Fields {
	t.Helper()
	for n, tag := range tags {
		f := protobuf.Fields{Rest: message}
		for f.Next() && f.Tag != tag {
		}
		if f.Tag != tag || f.Malformed {
			t.Fatalf("field %v of %v is missing in %q", tag, tags, message)
		}
		if n == len(tags)-1 {
			return f
		}
		message = f.Text
	}
	return protobuf.Fields{}
}

// attributesOf returns the texts of the attributes with a tag.
func attributesOf(t *testing.T, message []byte, tag uint64) map[string]string {
	t.Helper()
	all := make(map[string]string)
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag == tag {
			key, value, ok := otlp.ParsePair(f.Text)
			if !ok {
				t.Fatalf("%q", f.Text)
			}
			all[string(key)] = string(value.Text)
		}
	}
	return all
}

// A packet that did not come by OTLP has its metadata as attributes.
func TestPacketOfAnotherOrigin(t *testing.T) {
	body := `{"emitter_id":"shop/h1","packet_id":"p","messages":[{"timestamp":1700000000123,"level":"CRITICAL","message":"text",` +
		`"metadata":{"a":"b","trace_id":"none","span_id":"0102030405060708","input":"syslog","service.name":"mine","n":null}}]}`
	var request httpsink.Request
	Backend(nil).NewCodec().Encode(&request, []*packet.Packet{{Body: []byte(body)}})
	resourceLogs := field(t, request.Body, otlp.RequestResourceLogs).Text
	resource := attributesOf(t, field(t, resourceLogs, otlp.ResourceLogsResource).Text, otlp.ResourceAttributes)
	if resource["service.name"] != "shop" || resource["service.instance.id"] != "h1" || len(resource) != 2 {
		t.Errorf("the resource is %q", resource)
	}
	record := field(t, resourceLogs, otlp.ResourceLogsScopeLogs, otlp.ScopeLogsLogRecords).Text
	for tag, want := range map[uint64]uint64{otlp.RecordTime: 1700000000123000000, otlp.RecordSeverityNumber: 18} {
		if got := field(t, record, tag).Number; got != want {
			t.Errorf("field %d is %d, want %d", tag, got, want)
		}
	}
	for tag, want := range map[uint64]string{otlp.RecordSeverityText: "CRITICAL", otlp.RecordSpanID: "\x01\x02\x03\x04\x05\x06\x07\x08"} {
		if got := string(field(t, record, tag).Text); got != want {
			t.Errorf("field %d is %q, want %q", tag, got, want)
		}
	}
	if got := string(field(t, record, otlp.RecordBody, otlp.ValueString).Text); got != "text" {
		t.Errorf("the body is %q", got)
	}
	got := attributesOf(t, record, otlp.RecordAttributes)
	for key, want := range map[string]string{"a": "b", "trace_id": "none", "input": "syslog", "service.name": "mine", "n": ""} {
		if value, there := got[key]; !there || value != want {
			t.Errorf("the attribute %s is %q", key, value)
		}
	}
	if len(got) != 5 {
		t.Errorf("the attributes are %q", got)
	}
}

// Rejected records are counted, and never sent again.
func TestResult(t *testing.T) {
	codec := Backend(nil).NewCodec()
	for body, want := range map[string]sink.Result{
		"":                            {},
		"\x0a\x00":                    {},
		"\x0a\x07\x08\x03\x12\x03why": {Dropped: 3, Detail: "why"},
		"\x0a\x05\x12\x03why":         {Detail: "why"},
	} {
		got := codec.Result(&httpsink.Response{Status: http.StatusOK, Body: []byte(body)}, nil)
		if got.Outcome != sink.Delivered || got.Dropped != want.Dropped || got.Detail != want.Detail {
			t.Errorf("%q: %+v", body, got)
		}
	}
	if got := codec.Result(&httpsink.Response{Status: http.StatusOK, Body: []byte("<html>")}, nil); got.Outcome != sink.Failed || got.Reason != sink.Unreadable {
		t.Errorf("a response of something else: %+v", got)
	}
	if got := codec.Result(&httpsink.Response{Status: http.StatusBadRequest}, nil); got.Outcome != sink.Rejected {
		t.Errorf("400: %+v", got)
	}
}
