package forward

import (
	"errors"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// instances are the members of a record that name its instance; the service is the tag.
var (
	fields    = record.NewDocumentFields("kubernetes.pod_name", "host")
	instances = []int{0, 1}
)

// maxEscape is the number of bytes that a byte of a text may take in JSON.
const maxEscape = len(`\u0000`)

// translator makes packets of events. It must not be used concurrently.
type translator struct {
	receiver *receiver.Receiver
	peer     netip.Addr
	message  record.Message
	document record.Document
	json     []byte
	metadata []byte
	emitter  []byte
}

// trim releases memory that large records needed.
func (t *translator) trim() {
	t.message.Trim()
	t.document.Trim()
	if cap(t.json)+cap(t.metadata)+cap(t.emitter) > record.KeptBytes {
		t.json, t.metadata, t.emitter = nil, nil, nil
	}
}

// add adds the events of a frame. The error is an error of a Translation.
func (t *translator) add(packets *record.Packets, f *frame) error {
	if maxEscape*len(f.tag) > t.receiver.MaxPacketBytes()/2 { // each event has it
		packets.Reject(string(problem.TooLarge), f.events())
		return nil
	}
	arrival := time.Now()
	if f.single { // only packed entries are compressed
		return t.event(packets, f.tag, f.entries, 0, arrival)
	}
	entries := f.entries
	if coding := string(f.compressed); coding != "" && coding != "text" {
		decoded, fault := t.receiver.Decode(coding, entries)
		switch {
		case fault == nil:
		case fault.Code == problem.Malformed, fault.Code == problem.TooLarge:
			packets.Reject(string(fault.Code), f.events())
			return nil
		default:
			return fault
		}
		defer t.receiver.Release(decoded)
		entries = decoded.Body
	}
	packets.Expect(len(entries) * 5 / 2)
	for len(entries) > 0 {
		var s scanner
		if complete, err := s.scan(entries, len(entries)); err != nil || !complete {
			packets.Reject(string(problem.Malformed), 1) // the offset of the next event is not known
			return nil
		}
		h, _ := parseHead(entries, 0)
		if h.kind != kindArray || h.size < 2 {
			packets.Reject(string(problem.Malformed), 1)
		} else if err := t.event(packets, f.tag, entries[:s.at], h.next, arrival); err != nil {
			return err
		}
		entries = entries[s.at:]
	}
	return nil
}

// event adds the event whose time is at an offset and whose record follows. The time may be an
// array of time and metadata.
func (t *translator) event(packets *record.Packets, tag, data []byte, at int, arrival time.Time) error {
	body := skip(data, at)
	if h, _ := parseHead(data, body); h.kind != kindMap {
		packets.Reject(string(problem.Malformed), 1)
		return nil
	}
	if len(data)-at > t.receiver.MaxPacketBytes() {
		packets.Reject(string(problem.TooLarge), 1)
		return nil
	}
	t.metadata = t.metadata[:0]
	if h, _ := parseHead(data, at); h.kind == kindArray && h.size > 0 {
		if at = h.next; h.size > 1 {
			t.readMetadata(data, skip(data, at))
		}
	}
	t.json, _ = appendJSON(t.json[:0], data, body)
	t.document.Read(t.json, fields)
	m := &t.message
	packets.Begin(m, timestamp(data, at), arrival)
	m.SetString("input", "forward")
	m.Set("fluent.tag", tag)
	t.document.AddTo(m)
	if len(t.metadata) > 0 {
		m.AddJSON([]byte("fluent.metadata"), t.metadata)
	}
	t.emitter = record.AppendInstance(append(t.emitter[:0], tag...), t.document.Text(instances...), t.peer)
	err := packets.Group(t.emitter).Add(m)
	if errors.Is(err, record.ErrTooLarge) {
		packets.Reject(string(problem.TooLarge), 1)
		return nil
	}
	return err
}

// readMetadata reads Fluent Bit's metadata of an event, unless it is empty.
func (t *translator) readMetadata(data []byte, at int) {
	if h, _ := parseHead(data, at); h.kind == kindMap && h.size > 0 {
		t.metadata, _ = appendJSON(t.metadata, data, at)
	}
}

// packetID returns the id of the packets of a frame with a chunk. A client sends a frame again with
// the same chunk.
func packetID(r *receiver.Receiver, from receiver.Sender, f *frame) receiver.ID {
	const maxChunkBytes = 64
	if len(f.chunk) > maxChunkBytes {
		return r.ContentID(from, string(f.tag), f.chunk)
	}
	for _, c := range f.chunk {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return r.ContentID(from, string(f.tag), f.chunk)
		}
	}
	return receiver.ID{Text: "forward-" + string(f.chunk), Repeatable: true}
}
