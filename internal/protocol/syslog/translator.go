package syslog

import (
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
}

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
	t.receiver.PersistParts(ctx, from, receiver.Records{
		Count: len(frames), Bytes: bytes,
		Translate: func(packets *record.Packets, first, end int) error {
			return t.translate(packets, from, frames[first:end])
		},
	})
	t.trim()
}

// trim releases memory that large messages needed.
func (t *translator) trim() {
	t.message.Trim()
	if cap(t.elements.key)+cap(t.elements.value) > record.KeptBytes {
		t.elements = elements{}
	}
}

func (t *translator) translate(packets *record.Packets, from receiver.Sender, frames []frame) error {
	arrival := time.Now()
	for _, f := range frames {
		if isCompressed(f.content) {
			packets.Reject(string(problem.UnsupportedEncoding), 1)
			continue
		}
		l := parse(f.content, arrival, &t.calendar)
		emitter := l.host
		if len(emitter) == 0 {
			emitter = f.peer
		}
		if from.Principal != nil && !from.Principal.AllowsEmitter(emitter) {
			packets.Reject(string(problem.EmitterNotAllowed), 1)
			continue
		}
		packets.Begin(&t.message, l.nanoseconds, arrival)
		t.fill(&l)
		if err := packets.Group(emitter).Add(&t.message); errors.Is(err, record.ErrTooLarge) {
			packets.Reject(string(problem.TooLarge), 1)
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

// fill adds a line to the message, which has begun.
func (t *translator) fill(l *line) {
	m := &t.message
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
