package record

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// maxMessages and maxBytes bound a packet; one with a single message may be larger.
	maxMessages = 500
	maxBytes    = 512 << 10
	// maxEmitterBytes bounds an emitter_id, without JSON escapes.
	maxEmitterBytes = 256
	// firstBytes is the size of a packet's first buffer.
	firstBytes = 4 << 10
	// maxWaste is how much more memory a packet may hold than it needs.
	maxWaste = 1.5
	// tailBytes is what the end of a packet takes at most, with its packet_id.
	tailBytes = 256
)

// How a packet begins and ends.
const (
	startOfPacket   = `{"emitter_id":"`
	startOfMessages = `"messages":[`
	startOfID       = `],"packet_id":"`
	endOfPacket     = `"}`
)

// ErrTooLarge is that a message alone is larger than a packet may be.
var ErrTooLarge = errors.New("the record is larger than a packet may be (MAX_BODY_BYTES)")

// UnavailableError is the reason for which the intake has no memory for a packet.
type UnavailableError intake.Reason

// Error implements error.
func (e UnavailableError) Error() string { return intake.Reason(e).Detail() }

// Limits bound packets further than this package does.
type Limits struct{ Bytes, Messages int }

// Lender lends memory, and waits for it until ctx ends; see intake.Intake. It may be used
// concurrently.
type Lender interface {
	LendWithRoom(ctx context.Context, size int) (*packet.Packet, intake.Reason)
	Memory() *intake.Memory
}

// Packets collects the messages of one request in packets: by group, which usually is the
// emitter, in order, cut at 500 messages or 512 KiB, so that the same request makes the same
// packets. It must not be used concurrently. Seal or Drop ends it.
type Packets struct {
	ctx    context.Context // of the request
	lender Lender
	limits Limits
	groups map[string]*Group
	drafts []*draft
	// expected is about how many bytes follow, until a group has taken them over.
	expected int
	origins  *packet.Shared // see Origins; nil for none
}

// NewPackets returns an empty collection, of a request that waits for memory until ctx ends.
func NewPackets(ctx context.Context, lender Lender, limits Limits) *Packets {
	limits.Messages = min(limits.Messages, maxMessages)
	return &Packets{ctx: ctx, lender: lender, limits: limits, groups: make(map[string]*Group)}
}

// Group is the packets of one emitter.
type Group struct {
	packets *Packets
	head    []byte // of each packet
	emitter packet.Text
	open    *draft // nil: the next message begins a packet
	// expected is about how many bytes will be added, and added how many were.
	expected, added int
}

// Bytes returns how many bytes the messages of the group have.
func (g *Group) Bytes() int { return g.added }

// Expect tells that messages of about so many bytes follow, most of them for the next group
// that begins a packet, so that its packets need not grow. It is a hint.
func (p *Packets) Expect(bytes int) { p.expected = bytes }

// draft is a packet that is not complete.
type draft struct {
	packet   *packet.Packet
	emitter  packet.Text
	messages int
	level    packet.Level
	origin   []byte // see SetOrigin
}

// Group returns the group of an emitter, whose id must not be empty; it is cut at 256 bytes.
func (p *Packets) Group(emitter []byte) *Group {
	if g := p.groups[string(emitter)]; g != nil { // without a copy of the key
		return g
	}
	return p.GroupWith(string(emitter), emitter, nil)
}

// GroupWith returns the group with a key, which may differ by more than the emitter. Members
// are JSON members of its packets, each with a comma behind it, without line breaks.
func (p *Packets) GroupWith(key string, emitter, members []byte) *Group {
	if g := p.groups[key]; g != nil {
		return g
	}
	head, _ := AppendText([]byte(startOfPacket), cut(emitter, maxEmitterBytes))
	id := packet.NewText(len(startOfPacket), len(head), bytes.IndexByte(head, '\\') >= 0)
	head = append(append(append(head, '"', ','), members...), startOfMessages...)
	g := &Group{packets: p, head: head, emitter: id}
	p.groups[key] = g
	return g
}

// cut returns the beginning of text, of at most limit bytes and whole characters.
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
	if m.tooLarge {
		return ErrTooLarge
	}
	size := m.complete()
	if len(g.head)+size+tailBytes > g.packets.limits.Bytes {
		return ErrTooLarge
	}
	d := g.open
	if d != nil && (d.messages >= g.packets.limits.Messages || len(d.packet.Body)+1+size+tailBytes > maxBytes) {
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
	if d.messages > 0 {
		d.packet.Body = append(d.packet.Body, ',')
	}
	var level packet.Level
	d.packet.Body, level = m.append(d.packet.Body)
	if d.origin != nil {
		d.origin = nil
	}
	g.expected = max(0, g.expected-size)
	g.added += size
	d.messages++
	d.level = max(d.level, level)
	return nil
}

// SetOrigin sets the Origin of the packet that the last messages are in, if it has these alone
// and the group and the members say all else that the origin does.
func (g *Group) SetOrigin(origin []byte, messages int) {
	if d := g.open; d != nil && d.messages == messages {
		d.origin = origin
	}
}

// HasOrigin reports whether a packet has an Origin.
func (p *Packets) HasOrigin() bool {
	return slices.ContainsFunc(p.drafts, func(d *draft) bool { return d.origin != nil })
}

// Origins sets the buffer that the origins are in. Without one, packets have none.
func (p *Packets) Origins(in *packet.Shared) { p.origins = in }

// begin begins a packet with a message of that many bytes.
func (g *Group) begin(bytes int) (*draft, error) {
	g.expected, g.packets.expected = max(g.expected, g.packets.expected), 0
	size := max(firstBytes, len(g.head)+bytes+tailBytes, min(len(g.head)+g.expected+tailBytes, maxBytes))
	p, reason := g.packets.lend(size)
	if reason != "" {
		return nil, UnavailableError(reason)
	}
	p.Body = append(p.Body, g.head...)
	g.open = &draft{packet: p, emitter: g.emitter}
	g.packets.drafts = append(g.packets.drafts, g.open)
	return g.open, nil
}

// grow makes room for that many bytes more and for the end of the packet.
func (p *Packets) grow(d *draft, bytes int) error {
	needed := len(d.packet.Body) + bytes + tailBytes
	if needed <= cap(d.packet.Body) {
		return nil
	}
	larger, reason := p.lend(max(needed, 2*cap(d.packet.Body)))
	if reason != "" {
		return UnavailableError(reason)
	}
	larger.Body = append(larger.Body, d.packet.Body...)
	p.lender.Memory().Drop(d.packet)
	d.packet = larger
	return nil
}

func (p *Packets) lend(size int) (*packet.Packet, intake.Reason) {
	return p.lender.LendWithRoom(p.ctx, size)
}

// Len returns the number of packets.
func (p *Packets) Len() int { return len(p.drafts) }

// Messages returns the number of messages.
func (p *Packets) Messages() (messages int) {
	for _, d := range p.drafts {
		messages += d.messages
	}
	return messages
}

// Seal completes the packets, which the caller owns, in lent memory. The id of packet n, from
// 0, is the given one, which needs no JSON escapes and has at most 100 bytes, with -n.
func (p *Packets) Seal(id string) []*packet.Packet {
	packets := make([]*packet.Packet, 0, len(p.drafts))
	for n, d := range p.drafts {
		body := append(d.packet.Body, startOfID...)
		start := len(body)
		body = strconv.AppendInt(append(append(body, id...), '-'), int64(n), 10)
		end := len(body)
		d.packet.Body = append(body, endOfPacket...)
		d.packet.Info = packet.Info{
			EmitterID: d.emitter, PacketID: packet.NewText(start, end, false), Messages: d.messages, Level: d.level,
		}
		sealed := p.fit(d.packet)
		if d.origin != nil && p.origins != nil {
			p.origins.Attach(sealed, d.origin)
		}
		packets = append(packets, sealed)
	}
	p.drafts, p.groups, p.origins = nil, nil, nil
	return packets
}

// fit is Memory.Fit, which keeps the body only, for packets with memory that a copy is worth.
func (p *Packets) fit(of *packet.Packet) *packet.Packet {
	info := of.Info
	if float64(of.Footprint()) <= maxWaste*float64(packet.FootprintOf(len(of.Body))) {
		return of
	}
	of = p.lender.Memory().Fit(of)
	of.Info = info
	return of
}

// Drop releases the memory of packets that are not sealed.
func (p *Packets) Drop() {
	for _, d := range p.drafts {
		p.lender.Memory().Drop(d.packet)
	}
	p.drafts, p.groups, p.origins = nil, nil, nil
}

// Emitters yields the emitter_id of each group.
func (p *Packets) Emitters() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, g := range p.groups {
			if !yield(g.emitter.AppendDecoded(nil, g.head)) {
				return
			}
		}
	}
}
