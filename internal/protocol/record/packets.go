package record

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// maxMessages and maxBytes bound a packet; a packet with a single message may be larger.
	maxMessages = 500
	maxBytes    = 512 << 10
	// maxEmitterBytes bounds an emitter_id, without JSON escapes.
	maxEmitterBytes = 256
	// firstBytes is the size of a packet's first buffer.
	firstBytes = 4 << 10
	// maxWaste is the maximum of memory that a packet may hold beyond its need.
	maxWaste = 1.5
	// tailBytes is the maximum size of the end of a packet, with its packet_id.
	tailBytes = 256
)

// The beginning and the end of a packet.
const (
	startOfPacket   = `{"emitter_id":"`
	startOfMessages = `"messages":[`
	startOfID       = `],"packet_id":"`
	endOfPacket     = `"}`
)

// ErrTooLarge is returned for a message that alone is larger than a packet may be.
var ErrTooLarge = errors.New("the record is larger than a packet may be (MAX_BODY_BYTES, and max_payload of NATS with JOURNAL=jetstream)")

// UnavailableError is the reason for which the intake has no memory for a packet.
type UnavailableError intake.Reason

// Error implements error.
func (e UnavailableError) Error() string { return intake.Reason(e).Detail() }

// Limits are further bounds of packets.
type Limits struct{ Bytes, Messages int }

// Lender lends memory, and waits for it until ctx ends; see intake.Intake. It may be used
// concurrently.
type Lender interface {
	AwaitMemory(ctx context.Context, size int) (*packet.Packet, intake.Reason)
	Memory() *intake.Memory
}

// Packets collects the messages of one request in packets: by group, which usually is the emitter,
// in order, cut at 500 messages or 512 KiB or at lower limits, so that the same request makes the same packets. It
// must not be used concurrently. Seal or Drop ends it.
type Packets struct {
	ctx    context.Context // of the request
	lender Lender
	limits Limits
	cut    int // maximum size of a packet with several messages
	groups map[string]*Group
	drafts []*draft
	// expected is the approximate number of bytes that follow, until a group has taken them over.
	expected int
	held     int64          // bytes of memory, of the drafts, the groups and what Beside notes
	origins  *packet.Shared // see Origins; nil for none
	// latest is the last result of Group, for latestEmitter.
	latest        *Group
	latestEmitter []byte
	measures      bool           // see Measure
	into          *packet.Packet // see Rewrite; nil otherwise

	// Skewed is the number of records with a timestamp far in the future or in the past, and
	// Rejected the number of those that are no part of the packets, by the code of their problem. They
	// count once the packets are accepted.
	Skewed   int
	Rejected map[string]int
}

// Begin starts the message of a record with a timestamp in nanoseconds since 1970, or the time of its
// arrival; see IsUntimed.
func (p *Packets) Begin(m *Message, nano int64, arrival time.Time) {
	if m.beginAt(nano, arrival) {
		p.Skewed++
	}
}

// Reject counts records that are refused for good, with the code of a problem.
func (p *Packets) Reject(code string, records int) {
	if p.Rejected == nil {
		p.Rejected = make(map[string]int)
	}
	p.Rejected[code] += records
}

// NewPackets returns an empty collection, of a request that waits for memory until ctx ends.
func NewPackets(ctx context.Context, lender Lender, limits Limits) *Packets {
	limits.Messages = min(limits.Messages, maxMessages)
	return &Packets{ctx: ctx, lender: lender, limits: limits, cut: min(maxBytes, limits.Bytes), groups: make(map[string]*Group)}
}

// Beside adds memory that the request holds beside the packets, in bytes. A request that needs more
// memory than the total fails with an UnavailableError of intake.TooLarge.
func (p *Packets) Beside(bytes int64) { p.held += bytes }

// Expect announces that messages of about that many bytes follow, most of them for the next group
// that begins a packet, so that its packets need not grow. It is a hint.
func (p *Packets) Expect(bytes int) { p.expected = bytes }

// CanRepeat reports whether many messages may each have the metadata of m: if it takes at most half of
// a packet, a message that is rejected for its size has about as much of its own, so that the work for
// it is in proportion to what the sender has sent.
func (p *Packets) CanRepeat(m *Message) bool {
	return m.fault == nil && len(m.metadata)+len(m.types) <= p.limits.Bytes/2
}

// HasOrigin reports whether a packet has an Origin.
func (p *Packets) HasOrigin() bool {
	return slices.ContainsFunc(p.drafts, func(d *draft) bool { return d.origin != nil })
}

// Origins sets the buffer with the origins. Without it, packets have no origin.
func (p *Packets) Origins(in *packet.Shared) { p.origins = in }

// grow makes capacity for that many more bytes and for the end of the packet.
func (p *Packets) grow(d *draft, bytes int) error {
	needed := d.size + bytes + tailBytes
	if d.packet == nil || p.into != nil || needed <= cap(d.packet.Body) {
		return nil
	}
	larger, reason := p.lend(max(needed, 2*cap(d.packet.Body)))
	if reason != "" {
		return UnavailableError(reason)
	}
	larger.Body = append(larger.Body, d.packet.Body...)
	p.held -= d.packet.Footprint()
	p.lender.Memory().Drop(d.packet)
	d.packet = larger
	return nil
}

func (p *Packets) lend(size int) (lent *packet.Packet, reason intake.Reason) {
	if p.into != nil {
		return p.into, ""
	}
	needed := packet.FootprintOf(size)
	if !p.lender.Memory().Fits(p.held + needed) {
		return nil, intake.TooLarge
	}
	if lent, reason = p.lender.AwaitMemory(p.ctx, size); reason == "" {
		p.held += needed
	}
	return lent, reason
}

// Lend returns an empty packet with a buffer of at least that many bytes, which the request holds
// beside the packets; the caller owns it. The error is an UnavailableError.
func (p *Packets) Lend(size int) (*packet.Packet, error) {
	lent, reason := p.lend(size)
	if reason != "" {
		return nil, UnavailableError(reason)
	}
	return lent, nil
}

// Enlarge returns a packet whose buffer has capacity for that many bytes behind the body of other,
// which may be nil: other itself, or a packet with more than twice the capacity, and then other is
// released. It is for a response that is written with the packets; the caller owns the packet. The
// error is an UnavailableError, and other is unchanged then.
func (p *Packets) Enlarge(other *packet.Packet, bytes int) (*packet.Packet, error) {
	length := 0
	if other != nil {
		if length = len(other.Body); cap(other.Body)-length >= bytes {
			return other, nil
		}
	}
	larger, reason := p.lend(2 * (length + bytes))
	if reason != "" {
		return other, UnavailableError(reason)
	}
	if other != nil {
		larger.Body = append(larger.Body, other.Body...)
		p.held -= other.Footprint()
		p.lender.Memory().Drop(other)
	}
	return larger, nil
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

// Seal completes the packets, which the caller owns, in lent memory. The id of packet n, from 0, is
// the given id with -n; the given id needs no JSON escapes and has at most 100 bytes.
func (p *Packets) Seal(id string) []*packet.Packet {
	packets := make([]*packet.Packet, 0, len(p.drafts))
	var buffer [128]byte
	for n, d := range p.drafts {
		sealed := d.packet
		if !sealed.IsDeferred() {
			d.end(startOfID, appendID(buffer[:0], id, n))
			sealed = p.fit(sealed, 0)
		}
		if d.origin != nil && p.origins != nil {
			p.origins.Attach(sealed, d.origin)
		}
		packets = append(packets, sealed)
	}
	p.drafts, p.groups, p.origins = nil, nil, nil
	return packets
}

// fit is Memory.Fit, which keeps the body only, for packets whose unused memory is worth a copy.
func (p *Packets) fit(of *packet.Packet, more int) *packet.Packet {
	info := of.Info
	if float64(of.Footprint()) <= maxWaste*float64(packet.FootprintOf(len(of.Body)+more)) {
		return of
	}
	p.held -= of.Footprint()
	of = p.lender.Memory().Fit(of, more)
	p.held += of.Footprint()
	of.Info = info
	return of
}

// Drop releases the memory of packets that are not sealed.
func (p *Packets) Drop() {
	for _, d := range p.drafts {
		if d.packet != nil {
			p.lender.Memory().Drop(d.packet)
		}
	}
	p.drafts, p.groups, p.origins = nil, nil, nil
}

// Emitters yields the emitter_id of each group.
func (p *Packets) Emitters() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, g := range p.groups {
			if !yield(g.EmitterID()) {
				return
			}
		}
	}
}
