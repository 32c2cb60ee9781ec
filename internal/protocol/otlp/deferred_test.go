package otlp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// export sends a request, and returns the packets that are accepted.
func (f *fixture) export(request []byte) []*packet.Packet {
	f.Helper()
	if response := f.do("POST", "/v1/logs", "application/x-protobuf", string(request)); response.Status != 200 {
		f.Fatalf("%d %s", response.Status, response.Body)
	}
	packets, err := f.journal.Fetch(f.Context(), nil, 100)
	if err != nil {
		f.Fatal(err)
	}
	return packets
}

// A deferred packet, when it is complete, equals the packet that is written at once, and takes the
// same memory before and after.
func TestDeferredPackets(t *testing.T) {
	eager, deferring := newFixture(t, false), newFixture(t, false)
	eager.origins, deferring.origins, deferring.defers = true, true, true
	two := append(otlpRequest(3), nest(otlp.RequestResourceLogs, nest(otlp.ResourceLogsResource, pairField(otlp.ResourceAttributes, "service.name", textField(otlp.ValueString, "a \"b\""))),
		nest(otlp.ResourceLogsScopeLogs, nest(otlp.ScopeLogsLogRecords, protobuf.AppendFixed64(nil, otlp.RecordTime, 1e18))))...)
	small := nest(otlp.RequestResourceLogs, nest(otlp.ResourceLogsScopeLogs, nest(otlp.ScopeLogsLogRecords, protobuf.AppendFixed64(nil, otlp.RecordTime, 2e18))))
	for _, f := range []*fixture{eager, deferring} {
		f.journal.Ack(f.export(small)) // its JSON is ten times as large, which is not typical
	}
	for name, request := range map[string][]byte{"many records": otlpRequest(500), "two resources": two} {
		written, packets := eager.export(request), deferring.export(request)
		if len(packets) != len(written) || len(packets) == 0 {
			t.Fatalf("%s: %d packets instead of %d", name, len(packets), len(written))
		}
		for n, p := range packets {
			want, footprint := written[n], packet.FootprintOf(len(written[n].Body))
			if !p.IsDeferred() || want.IsDeferred() {
				t.Fatalf("%s: packet %d is deferred: %t", name, n, p.IsDeferred())
			}
			if p.IDs() != want.IDs() || p.Messages != want.Messages || p.Level != want.Level || p.Size() != len(want.Body) || p.Footprint() != footprint {
				t.Errorf("%s: packet %d is %+v with %d bytes in %d, want %+v with %d in %d", name, n, p.Info, p.Size(), p.Footprint(), want.Info, len(want.Body), footprint)
			}
			if !bytes.Equal(p.Origin, want.Origin) {
				t.Errorf("%s: packet %d has another origin", name, n)
			}
			if p.Complete(); p.IsDeferred() || !bytes.Equal(p.Body, want.Body) || p.Info != want.Info || p.Footprint() != footprint {
				t.Errorf("%s: packet %d, complete, is %.300s, want %.300s", name, n, p.Body, want.Body)
			}
		}
		deferring.journal.Ack(packets)
		eager.journal.Ack(written)
	}
	for _, f := range []*fixture{eager, deferring} {
		if held, stats := f.in.Memory().Held(), f.journal.Stats(); held != 0 || stats.MemoryBytes != 0 || stats.Accepted != stats.Acknowledged {
			t.Errorf("%d bytes are held in the end, and the journal has %+v", held, stats)
		}
	}
}

// A packet that must wait holds no memory of its request, and no more memory than a complete
// packet: it has a copy of its origin or, if the origin is too large, is complete.
func TestDeferredPacketsThatWait(t *testing.T) {
	f := newFixture(t, false)
	f.origins, f.defers = true, true
	small := nest(otlp.RequestResourceLogs, nest(otlp.ResourceLogsScopeLogs, nest(otlp.ScopeLogsLogRecords, protobuf.AppendFixed64(nil, otlp.RecordTime, 1e18))))
	for name, request := range map[string][]byte{"a copy": otlpRequest(2), "complete": small} {
		packets := f.export(request)
		if !packets[0].IsDeferred() || f.in.Memory().Shared() == 0 {
			t.Fatalf("%s: deferred: %t, %d bytes are shared", name, packets[0].IsDeferred(), f.in.Memory().Shared())
		}
		size, footprint := packets[0].Size(), packets[0].Footprint()
		p := packets[0].Own().Own()
		if shared := f.in.Memory().Shared(); shared != 0 {
			t.Errorf("%s: %d bytes are shared", name, shared)
		}
		if p.IsDeferred() != (name == "a copy") || p.IsDeferred() != bytes.Equal(p.Origin, request) || p.Size() != size || p.Footprint() != footprint {
			t.Errorf("%s: deferred: %t, a size of %d and a footprint of %d became %d and %d, the origin is %q", name, p.IsDeferred(), size, footprint, p.Size(), p.Footprint(), p.Origin)
		}
		if p.Complete(); p.Origin != nil || p.Footprint() != footprint {
			t.Errorf("%s, complete: a footprint of %d became %d, the origin is %q", name, footprint, p.Footprint(), p.Origin)
		}
		if info, err := packet.Check(p.Body, 2); err != nil || info != p.Info || len(p.Body) != size {
			t.Errorf("%s: %v: %+v, want %+v", name, err, p.Info, info)
		}
		f.journal.Ack(packets)
	}
}

// Packets are written at once if their requests do not contain all their data, and if there is no
// memory to keep the requests.
func TestPacketsThatAreNotDeferred(t *testing.T) {
	f := newFixture(t, false)
	f.origins, f.defers = true, true
	timed := protobuf.AppendFixed64(nil, otlp.RecordTime, 1e18)
	logs := func(record ...[]byte) []byte {
		return nest(otlp.RequestResourceLogs, nest(otlp.ResourceLogsScopeLogs, nest(otlp.ScopeLogsLogRecords, record...)))
	}
	for name, request := range map[string][]byte{
		"no time":         logs(textField(otlp.RecordSeverityText, "INFO")),
		"no UTF-8":        logs(timed, nest(otlp.RecordBody, textField(otlp.ValueString, "\xff"))),
		"equal resources": append(logs(timed), logs(timed)...),
		"many messages":   otlpRequest(501),
		"a large body":    logs(timed, nest(otlp.RecordBody, textField(otlp.ValueString, strings.Repeat("x", 600<<10)))),
	} {
		packets := f.export(request)
		for _, p := range packets {
			if info, err := packet.Check(p.Body, 1000); p.IsDeferred() || err != nil || info != p.Info {
				t.Errorf("%s: deferred: %t, %v: %+v, want %+v", name, p.IsDeferred(), err, p.Info, info)
			}
		}
		f.journal.Ack(packets)
	}
	if held := f.in.Memory().Held(); held != 0 {
		t.Errorf("%d bytes are held in the end", held)
	}
}

// The packets of a resource with more scopes than one of them has are not measured to the end: each
// would have a head of up to 256 KiB, in memory that nothing counts.
func TestManyScopesAreNotMeasured(t *testing.T) {
	f := newFixture(t, false)
	var scopes []byte
	for n := range 10 * maxScopes {
		scopes = append(scopes, nest(otlp.ResourceLogsScopeLogs,
			nest(otlp.ScopeLogsScope, textField(otlp.ScopeName, fmt.Sprint(n))),
			nest(otlp.ScopeLogsLogRecords, protobuf.AppendFixed64(nil, otlp.RecordTime, 1e18)))...)
	}
	packets := f.receiver.NewPackets(t.Context(), nil)
	packets.Measure()
	_, err := newTranslator().translate(nest(otlp.RequestResourceLogs, scopes), packets, []byte("e"), time.Now())
	if err != errWhole || packets.Len() != 1 {
		t.Errorf("%v after %d packets", err, packets.Len())
	}
	packets.Drop()
}
