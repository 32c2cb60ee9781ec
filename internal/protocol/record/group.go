package record

import (
	"bytes"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Group is the packets of one emitter.
type Group struct {
	packets *Packets
	head    []byte // of each packet
	emitter packet.Text
	open    *draft // nil: the next message begins a packet
	// expected is the approximate number of bytes that will be added, and added the number of bytes
	// that were.
	expected, added int
	// complete is the size of the latest complete packet, 0 if there is none.
	complete int
}

// EmitterID returns the emitter_id of the packets.
func (g *Group) EmitterID() []byte { return g.emitter.AppendDecoded(nil, g.head) }

// Bytes returns the number of bytes of the group's messages.
func (g *Group) Bytes() int { return g.added }

// Group returns the group of an emitter, whose id must not be empty; it is cut at 256 bytes.
func (p *Packets) Group(emitter []byte) *Group {
	if p.latest != nil && string(p.latestEmitter) == string(emitter) {
		return p.latest
	}
	g := p.groups[string(emitter)] // without a copy of the key
	if g == nil {
		g = p.GroupWith(string(emitter), emitter, nil)
	}
	p.latest, p.latestEmitter = g, append(p.latestEmitter[:0], emitter...)
	return g
}

// GroupWith returns the group with a key, which may depend on more than the emitter. Members are
// JSON members of its packets, each with a comma behind it, without line breaks.
func (p *Packets) GroupWith(key string, emitter, members []byte) *Group {
	if g := p.groups[key]; g != nil {
		return g
	}
	head, _ := AppendText([]byte(startOfPacket), cut(emitter, maxEmitterBytes))
	id := packet.NewText(len(startOfPacket), len(head), bytes.IndexByte(head, '\\') >= 0)
	head = append(append(append(head, '"', ','), members...), startOfMessages...)
	g := &Group{packets: p, head: head, emitter: id}
	p.groups[key] = g
	p.held += int64(len(key) + len(head))
	return g
}

// cut returns the beginning of text, of at most limit bytes, without a partial character.
func cut(text []byte, limit int) []byte {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// Add adds a message. The error is ErrTooLarge or an UnavailableError.
func (g *Group) Add(m *Message) error {
	if m.fault != nil {
		return m.fault
	}
	size := m.complete()
	if len(g.head)+size+tailBytes > g.packets.limits.Bytes {
		return ErrTooLarge
	}
	d := g.open
	if d != nil && (d.messages >= g.packets.limits.Messages || d.size+1+size+tailBytes > g.packets.cut) {
		if g.complete = d.size; d.packet != nil {
			d.packet = g.packets.fit(d.packet, tailBytes) // the next packet may need the memory
		}
		d = nil
	}
	if d == nil {
		var err error
		if d, err = g.begin(size); err != nil {
			return err
		}
	} else if err := g.packets.grow(d, 1+size); err != nil {
		return err
	}
	d.add(m, size)
	g.expected = max(0, g.expected-size)
	g.added += size
	return nil
}

// SetOrigin sets the Origin of the packet with the last messages, if it has only these messages and
// the group and the members contain all other data of the origin.
func (g *Group) SetOrigin(origin []byte, messages int) {
	if d := g.open; d != nil && d.messages == messages {
		d.origin = origin
	}
}

// begin begins a packet with a message of that many bytes.
func (g *Group) begin(bytes int) (*draft, error) {
	g.expected, g.packets.expected = max(g.expected, g.packets.expected), 0
	d := &draft{group: g, size: len(g.head)}
	if !g.packets.measures {
		p, reason := g.packets.lend(max(firstBytes, len(g.head)+bytes+tailBytes, g.expectedPacket()))
		if reason != "" {
			return nil, UnavailableError(reason)
		}
		p.Body = append(p.Body, g.head...)
		d.packet = p
	}
	g.open = d
	g.packets.drafts = append(g.packets.drafts, d)
	return d, nil
}

// expectedPacket returns the approximate number of bytes of the next packet.
func (g *Group) expectedPacket() int {
	expected := min(len(g.head)+g.expected+tailBytes, g.packets.cut)
	if g.complete > 0 { // the number of messages bounds the packets
		expected = min(expected, g.complete+g.complete/8+tailBytes)
	}
	return expected
}

// IsOnePacket reports whether that many messages of at least that many bytes may be all of the
// group, as one packet.
func (g *Group) IsOnePacket(messages, bytes int) bool {
	return g.open == nil && messages <= g.packets.limits.Messages && len(g.head)+bytes+tailBytes <= g.packets.cut
}

// IsCut reports whether the group has more than one packet.
func (g *Group) IsCut() bool { return g.complete > 0 }
