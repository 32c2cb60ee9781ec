package dispatch

import (
	"logstreamer/internal/packet"
)

// Delivered ends packets that an analyzer took.
func (d *Dispatcher) Delivered(analyzer int, packets []*packet.Packet) {
	for _, p := range packets {
		if p.Receipt != nil {
			p.Receipt <- packet.Outcome{Analyzer: d.analyzers[analyzer].ID()}
		}
	}
	d.ledger.delivered(packet.VolumeOf(packets))
	d.journal.Ack(packets)
}

// Refused ends a packet that an analyzer will never take: it becomes a dead
// letter.
func (d *Dispatcher) Refused(analyzer int, p *packet.Packet, reason, detail string) {
	d.deadLetters.Keep(p, d.analyzers[analyzer].ID(), reason, detail)
	if p.Receipt != nil {
		p.Receipt <- packet.Outcome{Analyzer: d.analyzers[analyzer].ID(), Refusal: detail}
	}
	var volume packet.Volume
	volume.Add(p)
	d.ledger.deadLettered(volume)
	d.journal.Ack([]*packet.Packet{p})
}

// Returned takes packets back, to be routed elsewhere.
func (d *Dispatcher) Returned(analyzer int, packets []*packet.Packet) {
	d.ledger.returned(packets)
	d.signal()
}

// Changed says that an analyzer may have room, or may have lost it.
func (d *Dispatcher) Changed() {
	if d.hungry.Load() {
		d.signal()
	}
}

func (d *Dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}
