//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"strconv"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func shaped(messages, packets int) traffic {
	return traffic{PacketMessages: messages, RequestPackets: packets}
}

func TestRequestsHoldValidPackets(t *testing.T) {
	for _, shape := range []traffic{shaped(1, 1), shaped(5, 1), shaped(500, 1), shaped(10_000, 1), shaped(5, 100)} {
		text := newPacketText(shape)
		r := newRequest(shape, text)
		r.assignIDs(123456789)
		m, ok, err := parseMessage(r.bytes)
		if err != nil || !ok || m.size != len(r.bytes) {
			t.Fatalf("%+v: the request is read as %+v, %v, %v", shape, m, ok, err)
		}
		bodies := [][]byte{m.body}
		if shape.RequestPackets > 1 {
			bodies = bodies[:0]
			lines := packet.LinesOf(m.body)
			for line, _, ok := lines.Next(); ok; line, _, ok = lines.Next() {
				bodies = append(bodies, line)
			}
		}
		if len(bodies) != shape.RequestPackets {
			t.Fatalf("%+v: %d packets", shape, len(bodies))
		}
		for i, body := range bodies {
			info, err := packet.Check(body, 10_000)
			if err != nil || info.Messages != shape.PacketMessages {
				t.Fatalf("%+v: packet %d is parsed as %+v, %v", shape, i, info, err)
			}
			if id, ok := text.id(body); !ok || id != int64(123456789+i) {
				t.Errorf("%+v: packet %d has id %d, %v", shape, i, id, ok)
			}
		}
	}
}

// otlpLogs is what tests read of OTLP/JSON.
type otlpLogs struct {
	ResourceLogs []struct {
		Resource  struct{ Attributes []otlpAttribute }
		ScopeLogs []struct {
			LogRecords []struct {
				TimeUnixNano, SeverityText string
				Body                       struct{ StringValue string }
				Attributes                 []otlpAttribute
			}
		}
	}
}

type otlpAttribute struct {
	Key   string
	Value struct{ StringValue string }
}

// The collector gets the same messages as the distributor.
func TestOTLPHoldsTheSameMessages(t *testing.T) {
	shape := shaped(5, 1)
	var packets struct {
		Messages []struct {
			Timestamp      int64
			Level, Message string
			Metadata       map[string]string
		}
	}
	read(t, newRequest(shape, newPacketText(shape)), &packets)
	shape.OTLP = true
	text := newPacketText(shape)
	r := newRequest(shape, text)
	r.assignIDs(123456789)
	var logs otlpLogs
	body := read(t, r, &logs)
	if id, ok := text.id(body); !ok || id != 123456789 {
		t.Errorf("the id is %d, %v", id, ok)
	}
	if !bytes.HasPrefix(r.bytes, []byte("POST /v1/logs ")) {
		t.Errorf("the request begins with %.20q", r.bytes)
	}
	if got := logs.ResourceLogs[0].Resource.Attributes[1].Value.StringValue; got != "000123456789" {
		t.Errorf("the packet's id is %q", got)
	}
	records := logs.ResourceLogs[0].ScopeLogs[0].LogRecords
	if len(records) != 5 || len(packets.Messages) != 5 {
		t.Fatalf("%d records for %d messages", len(records), len(packets.Messages))
	}
	for i, m := range packets.Messages {
		record := records[i]
		metadata := map[string]string{}
		for _, a := range record.Attributes {
			metadata[a.Key] = a.Value.StringValue
		}
		if record.TimeUnixNano != strconv.FormatInt(m.Timestamp*1e6, 10) || record.SeverityText != m.Level ||
			record.Body.StringValue != m.Message || !maps.Equal(metadata, m.Metadata) {
			t.Errorf("the record %+v encodes the message %+v", record, m)
		}
	}
}

// read decodes the JSON body of a request.
func read(t *testing.T, r *request, document any) []byte {
	t.Helper()
	m, ok, err := parseMessage(r.bytes)
	if err != nil || !ok {
		t.Fatalf("the request cannot be read: %v, %v", ok, err)
	}
	if err := json.Unmarshal(m.body, document); err != nil {
		t.Fatal(err)
	}
	return m.body
}

func TestPacketSizes(t *testing.T) {
	if size := newPacketText(shaped(5, 1)).size(); size < 770 || size > 810 {
		t.Errorf("a packet of 5 messages has %d bytes: it should have about 790", size)
	}
	if size := newPacketText(shaped(500, 1)).size(); size < 73_000 || size > 81_000 {
		t.Errorf("a packet of 500 messages has %d bytes: it should have about 77000", size)
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	text := newPacketText(shaped(2, 1))
	r := newRequest(shaped(2, 1), text)
	r.assignIDs(7)
	body := bytes.Clone(r.bytes[len(r.bytes)-text.size():])
	if _, ok := text.id(body); !ok {
		t.Fatal("an unchanged packet is not recognised")
	}
	for i := range body {
		body[i] ^= 0x80
		if _, ok := text.id(body); ok {
			t.Fatalf("a change of byte %d is not found", i)
		}
		body[i] ^= 0x80
	}
	if _, ok := text.id(body[:len(body)-1]); ok {
		t.Error("a cut is not found")
	}
}
