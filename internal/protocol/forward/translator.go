package forward

import (
	"bytes"
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

// maxKept bounds the buffer that a translator keeps, in bytes.
const maxKept = 1 << 20

// translator makes packets of events. It must not be used concurrently.
type translator struct {
	receiver *receiver.Receiver
	peer     netip.Addr
	message  record.Message
	document record.Document
	json     []byte
	metadata []byte
	emitter  []byte
	group    *record.Group // of the emitter
	// of the current attempt: records that are refused for good
	malformed, tooLarge int
}

// begin starts an attempt.
func (t *translator) begin() { t.group, t.malformed, t.tooLarge = nil, 0, 0 }

// end counts the records of an attempt that succeeded.
func (t *translator) end() {
	t.receiver.Reject(problem.Malformed, t.malformed)
	t.receiver.Reject(problem.TooLarge, t.tooLarge)
	if t.message.Trim(); cap(t.json) > maxKept {
		t.json = nil
	}
}

// add adds the events of a frame. The error is an error of a Translation.
func (t *translator) add(packets *record.Packets, f *frame) error {
	arrival := time.Now()
	if f.single { // only packed entries are compressed
		return t.event(packets, f.tag, f.entries, 0, arrival)
	}
	entries := f.entries
	if coding := string(f.compressed); coding != "" && coding != "text" {
		decoded, fault := t.receiver.Decode(coding, entries)
		switch {
		case fault == nil:
		case fault.Code == problem.Malformed:
			t.malformed += f.events()
			return nil
		case fault.Code == problem.TooLarge:
			t.tooLarge += f.events()
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
			t.malformed++ // the offset of the next event is not known
			return nil
		}
		h, _ := parseHead(entries, 0)
		if h.kind != kindArray || h.size < 2 {
			t.malformed++
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
		t.malformed++
		return nil
	}
	if len(data)-at > t.receiver.MaxPacketBytes() {
		t.tooLarge++
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
	if m.BeginAt(timestamp(data, at), arrival) {
		t.receiver.CountSkewed(1)
	}
	m.SetString("input", "forward")
	m.Set("fluent.tag", tag)
	t.setGroup(packets, tag)
	t.document.AddTo(m)
	if len(t.metadata) > 0 {
		m.AddJSON([]byte("fluent.metadata"), t.metadata)
	}
	err := t.group.Add(m)
	if errors.Is(err, record.ErrTooLarge) {
		t.tooLarge++
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

// setGroup sets the group of the record's emitter, which is often the emitter of the previous
// record.
func (t *translator) setGroup(packets *record.Packets, tag []byte) {
	length := len(t.emitter)
	t.emitter = record.AppendEmitter(t.emitter, tag, t.document.Text(instances...), t.peer)
	if next := t.emitter[length:]; t.group == nil || !bytes.Equal(next, t.emitter[:length]) {
		t.group = packets.Group(next)
	}
	t.emitter = append(t.emitter[:0], t.emitter[length:]...)
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
