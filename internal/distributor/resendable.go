package distributor

import (
	"logstreamer/internal/deadletter"
	"logstreamer/internal/dedupe"
	"logstreamer/internal/packet"
)

// resendable keeps dead letters that can be sent again at once: they are no
// duplicates of themselves.
type resendable struct {
	letters     *deadletter.Letters
	distributor *Distributor
}

// Sync makes what was kept safe; see deadletter.Letters.
func (r resendable) Sync() { r.letters.Sync() }

// Keep keeps a packet; see deadletter.Letters.
func (r resendable) Keep(p *packet.Packet, analyzer, reason, detail string) {
	r.letters.Keep(p, analyzer, reason, detail)
	if window := r.distributor.duplicates; window != nil {
		window.Forget(dedupe.KeyOf(p.EmitterID.AppendDecoded(nil, p.Body), p.PacketID.AppendDecoded(nil, p.Body)))
	}
}
