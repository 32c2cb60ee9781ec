package otlp

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// nest returns a field that contains the other fields.
func nest(tag byte, fields ...[]byte) []byte {
	dst, begin := protobuf.Open(nil, tag)
	for _, one := range fields {
		dst = append(dst, one...)
	}
	return protobuf.Close(dst, begin)
}

func textField(tag byte, value string) []byte { return protobuf.AppendText(nil, tag, []byte(value)) }

func pairField(tag byte, key string, value ...[]byte) []byte {
	return nest(tag, textField(otlp.KeyValueKey, key), nest(otlp.KeyValueValue, value...))
}

// strictCase has the fields of a ResourceLogs.
type strictCase struct {
	fields []byte
	strict bool
}

func strictCases() map[string]strictCase {
	const unknown = 14<<3 | protobuf.Bytes
	var (
		str    = textField(otlp.ValueString, "v")
		number = protobuf.AppendVarint(nil, otlp.ValueInt, 1)
		record = func(fields ...[]byte) []byte { return nest(otlp.ScopeLogsLogRecords, fields...) }
		logs   = func(fields ...[]byte) []byte { return nest(otlp.ResourceLogsScopeLogs, fields...) }
		nested = func(tag byte, items ...[]byte) []byte { return nest(otlp.RecordBody, nest(tag, items...)) }
		none   = []byte(nil)
	)
	return map[string]strictCase{
		"a record":                {logs(record()), true},
		"a text":                  {logs(record(nest(otlp.RecordBody, str))), true},
		"attributes":              {logs(record(pairField(otlp.RecordAttributes, "a", str), pairField(otlp.RecordAttributes, "b", number))), true},
		"ids":                     {logs(record(textField(otlp.RecordTraceID, "0123456789abcdef"), textField(otlp.RecordSpanID, "01234567"))), true},
		"a map":                   {logs(record(nested(otlp.ValueMap, pairField(otlp.ListItems, "k", number)))), true},
		"an array":                {logs(record(nested(otlp.ValueArray, nest(otlp.ListItems, str)))), true},
		"a resource":              {append(nest(otlp.ResourceLogsResource, pairField(otlp.ResourceAttributes, "a", str)), logs(record())...), true},
		"a scope":                 {logs(nest(otlp.ScopeLogsScope, textField(otlp.ScopeName, "n")), record()), true},
		"no record":               {logs(), false},
		"text that is no UTF-8":   {logs(record(nest(otlp.RecordBody, textField(otlp.ValueString, "\xff")))), false},
		"a key that is no UTF-8":  {logs(record(pairField(otlp.RecordAttributes, "\xff", str))), false},
		"nested, no UTF-8":        {logs(record(nested(otlp.ValueArray, nest(otlp.ListItems, textField(otlp.ValueString, "\xff"))))), false},
		"a short trace id":        {logs(record(textField(otlp.RecordTraceID, "0123"))), false},
		"a short span id":         {logs(record(textField(otlp.RecordSpanID, "0123"))), false},
		"two bodies":              {logs(record(nest(otlp.RecordBody, str), nest(otlp.RecordBody, number))), false},
		"two values":              {logs(record(nest(otlp.RecordBody, str, number))), false},
		"two values of a pair":    {logs(record(nest(otlp.RecordAttributes, nest(otlp.KeyValueValue, str), nest(otlp.KeyValueValue, number)))), false},
		"two resources":           {append(append(nest(otlp.ResourceLogsResource), nest(otlp.ResourceLogsResource)...), logs(record())...), false},
		"two scopes of one":       {logs(nest(otlp.ScopeLogsScope), nest(otlp.ScopeLogsScope), record()), false},
		"resource, no UTF-8":      {append(nest(otlp.ResourceLogsResource, pairField(otlp.ResourceAttributes, "\xff", str)), logs(record())...), false},
		"schema URL, no UTF-8":    {append(textField(otlp.ResourceLogsSchemaURL, "\xff"), logs(record())...), false},
		"scope, no UTF-8":         {logs(nest(otlp.ScopeLogsScope, textField(otlp.ScopeName, "\xff")), record()), false},
		"unknown in the logs":     {append(textField(unknown, "x"), logs(record())...), false},
		"unknown in the resource": {append(nest(otlp.ResourceLogsResource, textField(unknown, "x")), logs(record())...), false},
		"unknown in the scope":    {logs(nest(otlp.ScopeLogsScope, textField(unknown, "x")), record()), false},
		"unknown in ScopeLogs":    {logs(textField(unknown, "x"), record()), false},
		"unknown in a record":     {logs(record(textField(unknown, "x"))), false},
		"unknown in a pair":       {logs(record(nest(otlp.RecordAttributes, textField(unknown, "x")))), false},
		"unknown in a value":      {logs(record(nest(otlp.RecordBody, textField(unknown, "x")))), false},
		"unknown in an array":     {logs(record(nested(otlp.ValueArray, textField(unknown, "x")))), false},
		"another wire type":       {logs(record(protobuf.AppendVarint(nil, otlp.RecordTraceID&^7, 1))), false},
		"empty":                   {none, false},
	}
}

// A packet has an origin if receivers read the content of the packet from it.
func TestStrictRequestsAreOrigins(t *testing.T) {
	for name, c := range strictCases() {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, false)
			packets := f.receiver.NewPackets(t.Context(), nil)
			defer packets.Drop()
			if _, err := newTranslator().translate(nest(otlp.RequestResourceLogs, c.fields), packets, []byte("192.0.2.1"), time.Now()); err != nil {
				t.Fatal(err)
			}
			if packets.HasOrigin() != c.strict {
				t.Errorf("an origin: %t", packets.HasOrigin())
			}
		})
	}
}

// A packet takes the memory that requests like the previous one need.
func TestPacketMemoryFollowsPreviousRequest(t *testing.T) {
	f := newFixture(t, false)
	translated, request := newTranslator(), otlpRequest(500)
	translated.growth = 1
	for n := range 2 {
		packets := f.receiver.NewPackets(t.Context(), nil)
		if _, err := translated.translate(request, packets, []byte("192.0.2.1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		sealed := packets.Seal("id")[0]
		if got, fitting := sealed.Footprint(), packet.FootprintOf(len(sealed.Body)); n > 0 && got != fitting {
			t.Errorf("packet %d takes %d bytes, where %d are enough", n, got, fitting)
		}
		f.in.Memory().Drop(sealed)
	}
}

// Packets have their origins while origins are wanted and are in protobuf, and the memory of
// origins is held as long.
func TestRequestsAreHeldWithTheirOrigins(t *testing.T) {
	f := newFixture(t, false)
	request := otlpRequest(3)
	const asJSON = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000","body":{"stringValue":"text"}}]}]}]}`
	for _, c := range []struct {
		wanted      bool
		contentType string
		body        string
		origin      string
	}{
		{true, "application/x-protobuf", string(request), string(request)},
		{false, "application/x-protobuf", string(otlpRequest(4)), ""},
		{true, "application/json", asJSON, ""},
	} {
		f.origins = c.wanted
		if response := f.do("POST", "/v1/logs", c.contentType, c.body); response.Status != 200 {
			t.Fatal(response.Status)
		}
		packets, err := f.journal.Fetch(t.Context(), nil, 10)
		if err != nil || len(packets) != 1 {
			t.Fatal(len(packets), err)
		}
		if got := string(packets[0].Origin); got != c.origin {
			t.Errorf("%s: the origin is %q", c.contentType, got)
		}
		if shared := f.in.Memory().Shared() > 0; shared != (c.origin != "") {
			t.Errorf("%s: its memory is held: %t", c.contentType, shared)
		}
		f.journal.Ack(packets)
		if held := f.in.Memory().Held(); held != 0 {
			t.Errorf("%s: %d bytes are held in the end", c.contentType, held)
		}
	}
}
