//go:build linux

package main

import (
	"bytes"
	"testing"

	"logstreamer/internal/packet"
)

func TestRequestsHoldValidPackets(t *testing.T) {
	for _, shape := range []traffic{{1, 1}, {5, 1}, {500, 1}, {10_000, 1}, {5, 100}} {
		text := newPacketText(shape.PacketMessages)
		r := newRequest(shape, text)
		r.number(123456789)
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
				t.Fatalf("%+v: packet %d is checked as %+v, %v", shape, i, info, err)
			}
			if id, ok := text.id(body); !ok || id != int64(123456789+i) {
				t.Errorf("%+v: packet %d has id %d, %v", shape, i, id, ok)
			}
		}
	}
}

func TestPacketsHaveTheSizeOfTheComparison(t *testing.T) {
	if size := newPacketText(5).size(); size < 770 || size > 810 {
		t.Errorf("a packet of 5 messages has %d bytes: it should have about 790", size)
	}
	if size := newPacketText(500).size(); size < 73_000 || size > 81_000 {
		t.Errorf("a packet of 500 messages has %d bytes: it should have about 77000", size)
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	text := newPacketText(2)
	r := newRequest(traffic{2, 1}, text)
	body := bytes.Clone(r.bytes[len(r.bytes)-text.size():])
	if _, ok := text.id(body); !ok {
		t.Fatal("an unchanged packet is not known again")
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
