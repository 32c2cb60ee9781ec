package otlp

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// encoder writes packets as an ExportLogsServiceRequest: those that came by OTLP as they came.
// It must not be used concurrently.
type encoder struct {
	packet packet.Reader
	dst    []byte
	// The resource and the scopes of the current packet, encoded.
	resource []byte
	scopes   [][]byte
	// What is open: the offsets where the ResourceLogs and the ScopeLogs begin, -1 for none,
	// and what is in there.
	resourceAt, scopeAt     int
	openResource, openScope []byte
	openIndex               int
	name, text              []byte
}

func newEncoder() *encoder { return &encoder{resourceAt: -1, scopeAt: -1} }

// append appends the request with the packets: with their origins, and of other packets those in
// a row with the same resource are one ResourceLogs.
func (e *encoder) append(dst []byte, packets []*packet.Packet) []byte {
	e.dst = dst
	for _, p := range packets {
		if p.Origin != nil {
			e.closeResource()
			e.dst = append(e.dst, p.Origin...)
			continue
		}
		e.packet.Reset(p)
		e.encodeHead()
		if e.resourceAt < 0 || !bytes.Equal(e.resource, e.openResource) {
			e.closeResource()
			e.dst, e.resourceAt = protobuf.Open(e.dst, otlp.RequestResourceLogs)
			e.dst = append(e.dst, e.resource...)
			e.openResource = append(e.openResource[:0], e.resource...)
		}
		for first := true; e.packet.Next(); first = false {
			e.enterScope(first)
			var begin int
			e.dst, begin = protobuf.Open(e.dst, otlp.ScopeLogsLogRecords)
			e.record()
			e.dst = protobuf.Close(e.dst, begin)
		}
	}
	e.closeResource()
	dst, e.dst = e.dst, nil
	return dst
}

// encodeHead encodes the resource and the scopes of the packet.
func (e *encoder) encodeHead() {
	e.resource = e.resource[:0]
	r := &e.packet.Resource
	var begin int
	if r.Present {
		e.resource, begin = protobuf.Open(e.resource, otlp.ResourceLogsResource)
		e.resource = e.attributes(e.resource, otlp.ResourceAttributes, r.Pairs)
		e.resource = appendDropped(e.resource, otlp.ResourceDropped, r.Dropped)
		e.resource = protobuf.Close(e.resource, begin)
		e.resource = e.appendText(e.resource, otlp.ResourceLogsSchemaURL, r.SchemaURL)
	} else {
		e.resource = e.resourceOfEmitter(e.resource)
	}
	for len(e.scopes) < len(e.packet.Scopes) {
		e.scopes = append(e.scopes, nil)
	}
	for i := range e.packet.Scopes {
		e.scopes[i] = e.scope(e.scopes[i][:0], &e.packet.Scopes[i])
	}
}

// resourceOfEmitter names the service and its instance, of which the emitter_id consists, so
// that another distributor makes the same emitter_id of them.
func (e *encoder) resourceOfEmitter(dst []byte) []byte {
	emitter := e.packet.EmitterID.AppendDecoded(nil, e.packet.Body)
	service, instance, _ := bytes.Cut(emitter, []byte{'/'})
	dst, begin := protobuf.Open(dst, otlp.ResourceLogsResource)
	for _, one := range []struct {
		key   string
		value []byte
	}{{"service.name", service}, {"service.instance.id", instance}} {
		if len(one.value) > 0 {
			dst = otlp.AppendStringPair(dst, otlp.ResourceAttributes, []byte(one.key), one.value)
		}
	}
	return protobuf.Close(dst, begin)
}

func (e *encoder) scope(dst []byte, s *packet.Attributes) []byte {
	dst, begin := protobuf.Open(dst, otlp.ScopeLogsScope)
	dst = e.appendText(dst, otlp.ScopeName, s.Name)
	dst = e.appendText(dst, otlp.ScopeVersion, s.Version)
	dst = e.attributes(dst, otlp.ScopeAttributes, s.Pairs)
	dst = appendDropped(dst, otlp.ScopeDropped, s.Dropped)
	dst = protobuf.Close(dst, begin)
	return e.appendText(dst, otlp.ScopeLogsSchemaURL, s.SchemaURL)
}

// enterScope opens the scope of the current message, unless it is open. Within a packet scopes
// differ by their index, and between packets by what they are.
func (e *encoder) enterScope(firstOfPacket bool) {
	index := e.packet.Message.Scope
	var scope []byte
	if index >= 0 {
		scope = e.scopes[index]
	}
	if e.scopeAt >= 0 {
		if !firstOfPacket && index == e.openIndex || firstOfPacket && bytes.Equal(scope, e.openScope) {
			e.openIndex = index
			return
		}
	}
	e.closeScope()
	e.dst, e.scopeAt = protobuf.Open(e.dst, otlp.ResourceLogsScopeLogs)
	e.dst = append(e.dst, scope...)
	e.openIndex, e.openScope = index, append(e.openScope[:0], scope...)
}

func (e *encoder) closeScope() {
	if e.scopeAt >= 0 {
		e.dst, e.scopeAt = protobuf.Close(e.dst, e.scopeAt), -1
	}
}

func (e *encoder) closeResource() {
	e.closeScope()
	if e.resourceAt >= 0 {
		e.dst, e.resourceAt = protobuf.Close(e.dst, e.resourceAt), -1
	}
}

// attributes appends pairs as attributes.
func (e *encoder) attributes(dst []byte, tag byte, pairs []packet.Pair) []byte {
	for i := range pairs {
		dst = e.attribute(dst, tag, e.decodedName(pairs[i].Name), &pairs[i])
	}
	return dst
}

func (e *encoder) attribute(dst []byte, tag byte, key []byte, pair *packet.Pair) []byte {
	if pair.Type == 0 && !pair.Null {
		return otlp.AppendStringPair(dst, tag, key, e.decoded(pair.Value))
	}
	dst, begin := protobuf.Open(dst, tag)
	dst = protobuf.AppendText(dst, otlp.KeyValueKey, key)
	dst, value := protobuf.Open(dst, otlp.KeyValueValue)
	if !pair.Null {
		dst = e.value(dst, pair.Value, pair.Type)
	}
	return protobuf.Close(protobuf.Close(dst, value), begin)
}

// decodedName returns the text, which is valid until the next call.
func (e *encoder) decodedName(name packet.Text) []byte {
	if name.Plain() {
		return name.Raw(e.packet.Body)
	}
	e.name = name.AppendDecoded(e.name[:0], e.packet.Body)
	return e.name
}

// decoded returns the text, which is valid until the next call.
func (e *encoder) decoded(text packet.Text) []byte {
	if text.Plain() {
		return text.Raw(e.packet.Body)
	}
	e.text = text.AppendDecoded(e.text[:0], e.packet.Body)
	return e.text
}

// appendText appends a field, unless the text is empty.
func (e *encoder) appendText(dst []byte, tag byte, text packet.Text) []byte {
	if text.IsEmpty() {
		return dst
	}
	return protobuf.AppendText(dst, tag, e.decoded(text))
}

func appendDropped(dst []byte, tag byte, dropped int64) []byte {
	if dropped <= 0 || dropped > math.MaxUint32 {
		return dst
	}
	return protobuf.AppendVarint(dst, tag, uint64(dropped))
}

// value appends the AnyValue of a text with a type: a string if the text is not one of the type.
func (e *encoder) value(dst []byte, of packet.Text, kind byte) []byte {
	text, start := e.decoded(of), len(dst)
	var err error
	switch kind {
	case packet.TypeInt:
		var number int64
		number, err = strconv.ParseInt(string(text), 10, 64)
		dst = protobuf.AppendVarint(dst, otlp.ValueInt, uint64(number))
	case packet.TypeDouble:
		var number float64
		number, err = strconv.ParseFloat(string(text), 64)
		dst = protobuf.AppendFixed64(dst, otlp.ValueDouble, math.Float64bits(number))
	case packet.TypeBool:
		var value uint64
		if string(text) == "true" {
			value = 1
		}
		dst = protobuf.AppendVarint(dst, otlp.ValueBool, value)
	case packet.TypeBytes:
		var begin int
		dst, begin = protobuf.Open(dst, otlp.ValueBytes)
		if dst, err = base64.StdEncoding.AppendDecode(dst, text); err == nil {
			dst = protobuf.Close(dst, begin)
		}
	case packet.TypeJSON:
		dst, err = otlp.AppendValueOfJSON(dst, text)
	case packet.TypeOTLP:
		dst, err = otlp.AppendValueOfOTLP(dst, text)
	case packet.TypeEmpty:
	default:
		return protobuf.AppendText(dst, otlp.ValueString, text)
	}
	if err != nil {
		return protobuf.AppendText(dst[:start], otlp.ValueString, text)
	}
	return dst
}
