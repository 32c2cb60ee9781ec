//go:build linux

package main

import (
	"bytes"
	"testing"
	"time"
)

// The records of the load reach analyzers that take the same protocol, over HTTP or as a stream,
// and are accounted for.
func TestRecordsReachAnalyzers(t *testing.T) {
	for _, f := range []*recordFormat{otlpRecords(), syslogRecords().to(syslogLines(syslogTime))} {
		l, deliveries := newTestLoop(t), &ledger{}
		places, err := newAnalyzers(l, deliveries, 1, true)
		if err != nil {
			t.Fatal(err)
		}
		defer places.close()
		a, c := bench(t, l, deliveries, places.ports[0], traffic{Records: f})
		a.timeout = 10 * time.Second // a stream may be far ahead of the analyzer
		for range 2 {
			s, err := a.measure(c, 50*time.Millisecond, 0)
			if err != nil {
				t.Fatalf("%s: %v", f.input, err)
			}
			if s.Packets == 0 || s.Packets%requestRecords != 0 || s.Messages != s.Packets || s.Duplicates != 0 {
				t.Errorf("%s: %+v", f.input, s)
			}
		}
	}
}

// Without responses a connection waits while too many records are on their way.
func TestUnansweredRecordsAreBounded(t *testing.T) {
	for missing, waits := range map[int64]bool{maxUnanswered: false, maxUnanswered + 1: true} {
		l, deliveries := newTestLoop(t), &ledger{}
		places, err := newAnalyzers(l, deliveries, 1, true)
		if err != nil {
			t.Fatal(err)
		}
		defer places.close()
		_, c := bench(t, l, deliveries, places.ports[0], traffic{Records: syslogRecords()})
		deliveries.open(c.text)
		deliveries.missing = missing
		c.load.sending = true
		if c.load.connections[0].sendNext(time.Now()); (len(c.load.paused) == 1) != waits || (c.load.busy == 0) != waits {
			t.Errorf("with %d records on their way %d connections wait, and %d send", missing, len(c.load.paused), c.load.busy)
		}
	}
}

// A record that is lost, repeated or changed is found, wherever the change is.
func TestEveryChangedRecordIsFound(t *testing.T) {
	r := newRecordRequest(otlpRecords())
	deliveries := &ledger{}
	deliveries.open(&packetText{messages: 1, records: r.format})
	send := func() {
		deliveries.open(deliveries.text)
		first := deliveries.assignIDs(requestRecords)
		r.assignIDs(first)
		deliveries.accept(first, requestRecords)
	}
	send()
	if r.format.arrived(r.body, deliveries); deliveries.missing != 0 || deliveries.damaged != 0 {
		t.Fatalf("%d records are missing, %d changed", deliveries.missing, deliveries.damaged)
	}
	if r.format.arrived(r.body, deliveries); deliveries.duplicates != requestRecords {
		t.Errorf("%d records arrived again", deliveries.duplicates)
	}
	for at := 0; at < len(r.body); at += 61 {
		send()
		body := bytes.Clone(r.body)
		body[at] ^= 0x80
		r.format.arrived(body, deliveries)
		if deliveries.damaged == 0 && deliveries.missing == 0 {
			t.Fatalf("a change of byte %d is not found", at)
		}
	}
}

// Messages of packets are compared with what was sent.
func TestEveryChangedMessageIsFound(t *testing.T) {
	const packet = `{"emitter_id":"e","messages":[{"a":1,"message":"000000000000 x"}},{"a":1,"message":"000000000001 x"}}],"packet_id":"syslog-1-0"}` + "\n"
	read := packetRecords("e", func(int) (before, after string) { return `{"a":1,"message":"`, ` x"}}` }).arrived
	deliveries := &ledger{}
	for at := range packet {
		body := []byte(packet)
		*deliveries = ledger{}
		deliveries.accept(deliveries.assignIDs(2), 2)
		if read(body, deliveries); deliveries.damaged != 0 || deliveries.missing != 0 {
			t.Fatalf("%d messages are missing, %d changed", deliveries.missing, deliveries.damaged)
		}
		*deliveries = ledger{}
		deliveries.accept(deliveries.assignIDs(2), 2)
		body[at] ^= 0x80
		inID := at >= bytes.Index([]byte(packet), []byte("syslog")) && packet[at] != '}' && at < len(packet)-3
		if read(body, deliveries); deliveries.damaged == 0 && deliveries.missing == 0 && !inID {
			t.Errorf("a change of byte %d is not found", at)
		}
	}
}

// Every format makes whole requests with ids of their own.
func TestRecordRequests(t *testing.T) {
	for _, c := range inputCases() {
		f := c.experiments[0].traffic.Records
		r := newRecordRequest(f)
		r.assignIDs(1_000_000)
		if len(r.ids) != requestRecords {
			t.Fatalf("%s: %d ids", c.name, len(r.ids))
		}
		for i, at := range r.ids {
			if id, ok := parseID(r.body[at:]); !ok || id != int64(1_000_000+i) {
				t.Fatalf("%s: id %d is %d", c.name, i, id)
			}
		}
		if m, ok, err := parseMessage(r.bytes); f.head != "" && (!ok || err != nil || m.size != len(r.bytes)) {
			t.Errorf("%s: the request is read as %v, %v", c.name, ok, err)
		}
		first := bytes.Clone(r.bytes)
		if r.assignIDs(2_000_000); bytes.Equal(first, r.bytes) {
			t.Errorf("%s: the second request is the first", c.name)
		}
	}
}
