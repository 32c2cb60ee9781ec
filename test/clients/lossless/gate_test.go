package lossless

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	collectorlogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
)

// ids are attributes that decide the emitter of a resource.
var ids = []string{"service.name", "service.namespace", "service.instance.id", "host.name", "k8s.pod.name"}

// keys include keys that this service writes, and equal ones.
var keys = append([]string{
	"a", "b", "", "trace_id", "attributes.trace_id", "severity_text", "input", "body_empty", "attributes.service.name", "attributes.a", "sd.x.y",
	"otel.scope.name", "ключ", "with \"quotes\"", "line\nbreak",
}, ids...)

func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.StringN(0, 12, -1), rapid.SampledFrom([]string{"", "(empty)", "INFO", "info", "WARN", "null", "1", "NaN", "\x00\u2028", "é\\u00e9"}),
	).Draw(t, label)
}

func drawValue(t *rapid.T, v pcommon.Value, depth int) {
	last := 7
	if depth > 3 {
		last = 5
	}
	switch rapid.IntRange(0, last).Draw(t, "kind") {
	case 0:
	case 1:
		v.SetStr(drawText(t, "text"))
	case 2:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case 3:
		v.SetDouble(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 1, -2, 1e21, 1e-7, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)})).Draw(t, "double"))
	case 4:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case 5:
		v.SetEmptyBytes().FromRaw(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"))
	case 6:
		s := v.SetEmptySlice()
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			drawValue(t, s.AppendEmpty(), depth+1)
		}
	default:
		drawAttributes(t, v.SetEmptyMap(), depth+1)
	}
}

// drawAttributes draws values of some keys, which may be equal ones.
func drawAttributes(t *rapid.T, m pcommon.Map, depth int) {
	for range rapid.IntRange(0, 4).Draw(t, "attributes") {
		key := rapid.SampledFrom(keys).Draw(t, "key")
		drawValue(t, m.PutEmpty(key), depth)
	}
}

func drawRecord(t *rapid.T, r plog.LogRecord) {
	times := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 999_999, 1_000_000, 1_700_000_000_000_000_000, 1_700_000_000_000_000_001}))
	r.SetTimestamp(pcommon.Timestamp(times.Draw(t, "time")))
	r.SetObservedTimestamp(pcommon.Timestamp(times.Draw(t, "observed")))
	r.SetSeverityNumber(plog.SeverityNumber(rapid.Int32Range(-1, 26).Draw(t, "severity")))
	r.SetSeverityText(drawText(t, "severity text"))
	drawValue(t, r.Body(), 0)
	drawAttributes(t, r.Attributes(), 0)
	r.SetDroppedAttributesCount(rapid.OneOf(rapid.Just(uint32(0)), rapid.Uint32()).Draw(t, "dropped"))
	r.SetFlags(plog.LogRecordFlags(rapid.OneOf(rapid.Just(uint32(1)), rapid.Uint32()).Draw(t, "flags")))
	if rapid.Bool().Draw(t, "traced") {
		r.SetTraceID(pcommon.TraceID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace id")))
		r.SetSpanID(pcommon.SpanID(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span id")))
	}
	r.SetEventName(drawText(t, "event"))
}

// drawLogs draws logs whose resources, and whose scopes of a resource, differ.
func drawLogs(t *rapid.T) plog.Logs {
	logs := plog.NewLogs()
	for n := range rapid.IntRange(1, 2).Draw(t, "resources") {
		rl := logs.ResourceLogs().AppendEmpty()
		drawAttributes(t, rl.Resource().Attributes(), 0)
		rl.Resource().Attributes().PutInt("n", int64(n))
		rl.Resource().SetDroppedAttributesCount(rapid.Uint32Range(0, 2).Draw(t, "dropped"))
		rl.SetSchemaUrl(drawText(t, "schema url"))
		for n := range rapid.IntRange(1, 2).Draw(t, "scopes") {
			sl := rl.ScopeLogs().AppendEmpty()
			if n > 0 {
				sl.Scope().SetName(fmt.Sprint(n))
				sl.Scope().SetVersion(drawText(t, "version"))
				drawAttributes(t, sl.Scope().Attributes(), 0)
				sl.Scope().SetDroppedAttributesCount(rapid.Uint32Range(0, 2).Draw(t, "dropped"))
				sl.SetSchemaUrl(drawText(t, "schema url"))
			}
			for range rapid.IntRange(1, 3).Draw(t, "records") {
				drawRecord(t, sl.LogRecords().AppendEmpty())
			}
		}
	}
	return logs
}

func text(t interface{ Fatal(...any) }, logs plog.Logs) string {
	json, err := new(plog.JSONMarshaler).MarshalLogs(logs)
	if err != nil {
		t.Fatal(err)
	}
	return string(json)
}

func parse(t interface{ Fatal(...any) }, request []byte) plog.Logs {
	logs, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(request)
	if err != nil {
		t.Fatal(err)
	}
	return logs
}

// mode is the part of requests that is kept: origins, and bodies only on demand.
type mode struct{ origins, defers bool }

var modes = []mode{{false, false}, {true, false}, {true, true}}

func (m mode) set(w *wayThrough) {
	w.origins.Store(m.origins)
	w.defers.Store(m.defers)
}

// Records that arrive by OTLP are delivered by OTLP unchanged, whatever the encoding and the order.
func TestLossless(t *testing.T) {
	w := newWayThrough(t)
	rapid.Check(t, func(t *rapid.T) {
		logs := drawLogs(t)
		request, err := new(plog.ProtoMarshaler).MarshalLogs(logs)
		if err != nil {
			t.Fatal(err)
		}
		want := text(t, logs)
		for _, mode := range modes {
			mode.set(w)
			if got := text(t, parse(t, w.through("application/x-protobuf", request))); got != want {
				t.Fatalf("protobuf, %+v:\n%s\nbecame\n%s", mode, want, got)
			}
		}
		if got := text(t, parse(t, w.through("application/json; charset=utf-8", []byte(want)))); got != want {
			t.Fatalf("JSON:\n%s\nbecame\n%s", want, got)
		}
	})
}

// Hundreds of records are cut into packets, and are delivered as one ResourceLogs.
func TestLosslessAcrossPackets(t *testing.T) {
	w := newWayThrough(t)
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "s")
	for n := range 40 { // more than the maximum of a packet
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName(fmt.Sprint(n))
		for range 40 {
			r := sl.LogRecords().AppendEmpty()
			r.SetTimestamp(1)
			r.Body().SetStr("text")
		}
	}
	request, _ := new(plog.ProtoMarshaler).MarshalLogs(logs)
	if got := text(t, parse(t, w.through("application/x-protobuf", request))); got != text(t, logs) {
		t.Errorf("became %.1000s", got)
	}
}

// FuzzLossless compares the records of any request that pdata can decode, each with its resource
// and scope, in their order by resource.
func FuzzLossless(f *testing.F) {
	for n := range 20 {
		request, err := new(plog.ProtoMarshaler).MarshalLogs(rapid.Custom(drawLogs).Example(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request)
	}
	f.Add([]byte("\x0a\x15\x12\x13\x12\x11\x10\x89\x80\x80\x80\x80\x80\x80\x80\x80\x7e\x2a\x04\x0a\x02hi")) // a severity_number of more than 64 bits
	f.Add([]byte("\x0a\x0a\x12\x08\x12\x06\x80\x80\x80\x80\x20\x00"))                                       // an unknown field with a number of more than 29 bits
	f.Add([]byte("\n\x00\x10\xde{\x9buY(\n\xffw\x00\x10\xde{\x9bu\x9buY(\n\xffw\x00Y(\x00"))                // a group that does not end
	f.Add([]byte("\x0a\x0d\x0a\x07\x0a\x05\x0a\x01a\x18\x05\x12\x02\x12\x00"))                              // a key_strindex
	w := newWayThrough(f)
	f.Fuzz(func(t *testing.T, request []byte) {
		w.TB = t
		want, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(request)
		if err != nil || hasInvalid(want) || hasStringIndex(want) || !isProtobuf(request) && w.refuses(request) {
			w.compareOrigins(request)
			w.compareDeferred(request)
			return
		}
		for _, mode := range modes {
			mode.set(w)
			got := parse(t, w.through("application/x-protobuf", request))
			if got, want := records(t, got), records(t, want); !slices.Equal(got, want) {
				t.Fatalf("%+v:\n%s\nbecame\n%s", mode, strings.Join(want, "\n"), strings.Join(got, "\n"))
			}
		}
		w.compareDeferred(request)
	})
}

// isProtobuf reports whether a request is well-formed. pdata decodes groups that do not end as well.
func isProtobuf(request []byte) bool {
	return proto.Unmarshal(request, new(collectorlogs.ExportLogsServiceRequest)) == nil
}

func (w *wayThrough) refuses(request []byte) bool {
	w.Helper()
	response := w.post("application/x-protobuf", request)
	w.journal.Ack(w.fetch())
	return response.Status == http.StatusBadRequest
}

// compareDeferred compares packets whose bodies are deferred with packets whose bodies are not.
func (w *wayThrough) compareDeferred(request []byte) {
	w.Helper()
	var bodies [2][]string
	for n, defers := range []bool{false, true} {
		w.defers.Store(defers)
		_ = w.post("application/x-protobuf", request)
		deferred := false
		accepted := w.fetch()
		for _, p := range accepted {
			deferred = deferred || p.IsDeferred()
			p.Complete()
			bodies[n] = append(bodies[n], string(p.Body))
		}
		w.journal.Ack(accepted)
		if defers && deferred && !slices.Equal(bodies[0], bodies[1]) {
			w.Fatalf("%q\nis, deferred,\n%q", bodies[0], bodies[1])
		}
	}
}

// compareOrigins compares the records that receivers read from packets with and without their
// origins, of a request with records that packets cannot keep unchanged.
func (w *wayThrough) compareOrigins(request []byte) {
	w.Helper()
	w.origins.Store(true)
	w.defers.Store(false)
	_ = w.post("application/x-protobuf", request)
	accepted := w.packets()
	defer w.journal.Ack(accepted)
	for _, p := range accepted {
		if p.Origin == nil {
			continue
		}
		var with, without httpsink.Request
		w.codec.Encode(&with, []*packet.Packet{p})
		w.codec.Encode(&without, []*packet.Packet{{Body: p.Body, Info: p.Info}})
		if got, want := records(w, parse(w, with.Body)), records(w, parse(w, without.Body)); !slices.Equal(got, want) {
			w.Fatalf("the packet says\n%s\nand its origin\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
	}
}

// hasInvalid reports whether a text is not valid UTF-8, which packets cannot keep, or an id does
// not have the usual length.
func hasInvalid(logs plog.Logs) bool {
	request, _ := new(plog.ProtoMarshaler).MarshalLogs(logs)
	json, err := new(plog.JSONMarshaler).MarshalLogs(logs)
	return err != nil || !utf8.Valid(json) || strings.Contains(string(json), "\ufffd") || len(request) == 0
}

// hasStringIndex reports whether a key or a value is an index of a table of strings, which profiles
// have and logs do not: such an index is ignored.
func hasStringIndex(logs plog.Logs) bool {
	json, err := new(plog.JSONMarshaler).MarshalLogs(logs)
	return err != nil || strings.Contains(string(json), `"keyStrindex":`) || strings.Contains(string(json), `"stringValueStrindex":`)
}

// records returns each record with its resource and scope, sorted stably by resource.
func records(t interface{ Fatal(...any) }, logs plog.Logs) (all []string) {
	type one struct{ resource, text string }
	var list []one
	for _, rl := range logs.ResourceLogs().All() {
		alone := plog.NewLogs()
		to := alone.ResourceLogs().AppendEmpty()
		rl.Resource().CopyTo(to.Resource())
		to.SetSchemaUrl(rl.SchemaUrl())
		resource := text(t, alone)
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				alone := plog.NewLogs()
				into := alone.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
				sl.Scope().CopyTo(into.Scope())
				into.SetSchemaUrl(sl.SchemaUrl())
				r.CopyTo(into.LogRecords().AppendEmpty())
				list = append(list, one{resource, resource + text(t, alone)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b one) int { return strings.Compare(a.resource, b.resource) })
	for _, one := range list {
		all = append(all, one.text)
	}
	return all
}
