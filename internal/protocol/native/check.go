package native

import (
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// check returns the Info of a packet, or why it is refused.
func (p *Protocol) check(how *submission, text []byte, now time.Time) (packet.Info, *problem.Problem) {
	info, err := packet.Check(text, p.config.Load().MaxPacketMessages)
	if err != nil {
		why := p.rejection(err, info, text, now)
		return info, &why
	}
	if why := p.notAllowed(how.principal, info, text, now); why != nil {
		return info, why
	}
	return info, p.misdirected(how.emitterID, info, text, now)
}

// misdirected returns why a packet is refused whose emitter_id differs from the header, by which a
// balancer has chosen this distributor, or nil.
func (p *Protocol) misdirected(emitterID string, info packet.Info, text []byte, now time.Time) *problem.Problem {
	if emitterID == "" {
		return nil
	}
	var buffer [128]byte
	if string(info.EmitterID.Decoded(buffer[:0], text)) == emitterID {
		return nil
	}
	why := &problem.Problem{
		Code:     problem.Malformed,
		Detail:   fmt.Sprintf("the header Emitter-Id is %q: it must equal the packet's emitter_id", emitterID),
		PacketID: string(info.PacketID.AppendDecoded(nil, text)),
	}
	p.noteRefused(info, text, why, now)
	return why
}

// isEmptyEmitterID reports whether the header Emitter-Id is present and empty.
func isEmptyEmitterID(h *http1.Head) bool { return h.EmitterID != nil && len(h.EmitterID) == 0 }
