package syslog

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// maxAddresses bounds the cached texts of addresses.
const maxAddresses = 1024

// frame is the content of a frame, which is not empty.
type frame struct{ content, peer []byte }

// translator makes packets of messages. It must not be used concurrently.
type translator struct {
	receiver  *receiver.Receiver
	calendar  calendar
	message   record.Message
	elements  elements
	addresses map[netip.Addr][]byte
	rejected  rejected
}

// rejected counts the messages of an attempt that are refused for good.
type rejected struct{ tooLarge, compressed, notAllowed int }

// address returns the text of an address.
func (t *translator) address(of netip.Addr) []byte {
	if text, known := t.addresses[of]; known {
		return text
	}
	if t.addresses == nil || len(t.addresses) >= maxAddresses {
		t.addresses = make(map[netip.Addr][]byte)
	}
	text := of.Unmap().WithZone("").AppendTo(nil)
	t.addresses[of] = text
	return text
}

// persist submits messages, and counts those that are not accepted. Bytes is the size of all of
// them.
func (t *translator) persist(ctx context.Context, from receiver.Sender, frames []frame, bytes int) {
	accepted, fault := t.receiver.PersistParts(ctx, len(frames), func(ctx context.Context, first, end int) *problem.Problem {
		return t.part(ctx, from, frames[first:end], bytes*(end-first)/len(frames))
	})
	if fault != nil {
		t.receiver.Reject(fault.Code, len(frames)-accepted)
	}
}

// part is a receiver.Part.
func (t *translator) part(ctx context.Context, from receiver.Sender, frames []frame, bytes int) *problem.Problem {
	fault := t.receiver.Persist(ctx, from, bytes, func(packets *record.Packets) (id receiver.ID, err error) {
		return t.receiver.SequenceID(), t.translate(packets, from, frames)
	})
	if fault != nil && fault.Code != problem.AckTimeout { // then they are accepted
		return fault
	}
	t.receiver.Reject(problem.TooLarge, t.rejected.tooLarge)
	t.receiver.Reject(problem.UnsupportedEncoding, t.rejected.compressed)
	t.receiver.Reject(problem.EmitterNotAllowed, t.rejected.notAllowed)
	return nil
}

func (t *translator) translate(packets *record.Packets, from receiver.Sender, frames []frame) error {
	t.rejected = rejected{}
	arrival := time.Now()
	var group *record.Group
	var last []byte // emitter of group
	for _, f := range frames {
		if isCompressed(f.content) {
			t.rejected.compressed++
			continue
		}
		l := parse(f.content, arrival, &t.calendar)
		emitter := l.host
		if len(emitter) == 0 {
			emitter = f.peer
		}
		if from.Principal != nil && !from.Principal.AllowsEmitter(emitter) {
			t.rejected.notAllowed++
			continue
		}
		if group == nil || !bytes.Equal(emitter, last) {
			group, last = packets.Group(emitter), emitter
		}
		t.begin(&l, arrival)
		if err := group.Add(&t.message); errors.Is(err, record.ErrTooLarge) {
			t.rejected.tooLarge++
		} else if err != nil {
			return err
		}
	}
	return nil
}

// isCompressed reports whether rsyslog has compressed a message.
func isCompressed(content []byte) bool {
	return len(content) > 1 && content[0] == compressedMessage && content[1] == compressed
}

// begin starts the message of a line.
func (t *translator) begin(l *line, arrival time.Time) {
	m := &t.message
	if m.BeginAt(l.nanoseconds, arrival) {
		t.receiver.CountSkewed(1)
	}
	m.SetString("input", "syslog")
	if l.priority >= 0 {
		severity := l.priority & 7
		m.SetLevel(record.SyslogLevel(severity))
		m.SetString("facility", facilities[l.priority>>3])
		switch severity { // levels have fewer names
		case 0:
			m.SetString("severity_text", "emerg")
		case 1:
			m.SetString("severity_text", "alert")
		}
	}
	for _, part := range [...]struct {
		key   string
		value []byte
	}{{"appname", l.app}, {"procid", l.proc}, {"msgid", l.id}} {
		if len(part.value) > 0 {
			m.Set(part.key, part.value)
		}
	}
	t.elements.addTo(m, l.structured)
	m.SetBody(l.text)
}

// facilities are the names of RFC 5427, by number.
var facilities = [24]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "console", "cron2",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}
