//go:build linux

package main

import (
	"bytes"
	"testing"
	"time"
)

// The load's compressed requests hold the packets that it sends plain, and only those are
// decoded.
func TestCompressedRequests(t *testing.T) {
	for _, coding := range []*encoding{newGzip(), newZstd()} {
		shape := shaped(500, 1)
		shape.Encoding = coding
		text := newPacketText(shape)
		r := newRequest(shape, text)
		r.assignIDs(123456789)
		m, ok, err := parseMessage(r.bytes)
		if err != nil || !ok || m.size != len(r.bytes) || !bytes.Contains(r.bytes, []byte("\r\nContent-Encoding: "+coding.name+"\r\n")) {
			t.Fatalf("%s: the request is read as %+v, %v, %v", coding.name, m, ok, err)
		}
		buffer := make([]byte, text.size()+bytes.MinRead)
		body, err := coding.decode(buffer, m.body)
		if id, ok := text.id(body); err != nil || !ok || id != 123456789 {
			t.Errorf("%s: the packet %d is decoded: %v, %v", coding.name, id, ok, err)
		}
		if body, err := coding.decode(buffer, m.body[:len(m.body)/2]); err == nil && len(body) == text.size() {
			t.Errorf("%s: half a body is decoded", coding.name)
		}
	}
}

func TestDecoderAloneIsMeasured(t *testing.T) {
	cores, err := usableCores()
	if err != nil {
		t.Fatal(err)
	}
	for _, coding := range []*encoding{newGzip(), newZstd()} {
		shape := shaped(5, 1)
		shape.Encoding = coding
		s, err := decodeAlone(&runningSubject{traffic: shape, text: newPacketText(shape)}, cores, time.Millisecond)
		if err != nil || s.Packets == 0 || s.Messages != 5*s.Packets || s.RequestPackets != 1 || s.ProcessorSeconds <= 0 || s.Seconds < 0.001 {
			t.Errorf("%s: %+v, %v", coding.name, s, err)
		}
	}
}
