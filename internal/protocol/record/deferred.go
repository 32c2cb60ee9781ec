package record

import (
	"math"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Measure makes the collection measure its packets instead of writing them, until Defer. It is
// called before the first message.
func (p *Packets) Measure() { p.measures = true }

// Measures reports whether packets are only measured.
func (p *Packets) Measures() bool { return p.measures }

// Defer makes deferred packets of packets that were measured, with the id for Seal; see
// packet.Packet. It reports false if a packet has no Origin or there is no memory; then only Drop
// may be called.
func (p *Packets) Defer(id string, translate packet.Translate) bool {
	var buffer [128]byte
	for n, d := range p.drafts {
		if d.origin == nil {
			return false
		}
		of := appendID(buffer[:0], id, n)
		emitter := d.group.head[:len(startOfPacket)+d.group.emitter.Len()]
		lent, reason := p.lender.Memory().LendDeferred(emitter, d.size+len(startOfID)+len(of)+len(endOfPacket), translate)
		if reason != "" {
			return false
		}
		d.packet = lent
		d.end(startOfDeferredID, of)
	}
	return true
}

// startOfDeferredID is the separator of the ids of a deferred packet.
const startOfDeferredID = `","packet_id":"`

// Rewrite returns a collection of one deferred packet that writes its body into a packet with
// capacity for it. SealAs completes it.
func Rewrite(into *packet.Packet) *Packets {
	return &Packets{limits: Limits{Bytes: math.MaxInt, Messages: maxMessages}, cut: maxBytes, groups: make(map[string]*Group), into: into}
}

// SealAs is Seal for Rewrite: the packet has the given id.
func (p *Packets) SealAs(id []byte) {
	for _, d := range p.drafts {
		d.end(startOfID, id)
	}
}
