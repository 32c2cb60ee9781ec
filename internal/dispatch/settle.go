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
	if d.ledger.delivered(packets) {
		d.logLastApart()
	}
	d.journal.Ack(packets)
}

// Refused ends a packet that an analyzer will never take: it becomes a dead
// letter.
func (d *Dispatcher) Refused(analyzer int, p *packet.Packet, reason, detail string) {
	d.deadLetters.Keep(p, d.analyzers[analyzer].ID(), reason, detail)
	if p.Receipt != nil {
		p.Receipt <- packet.Outcome{Analyzer: d.analyzers[analyzer].ID(), Refusal: detail}
	}
	ended := []*packet.Packet{p}
	if d.ledger.deadLettered(ended) {
		d.logLastApart()
	}
	d.journal.Ack(ended)
}

// Returned takes packets back, to be routed elsewhere.
func (d *Dispatcher) Returned(analyzer int, packets []*packet.Packet) {
	if first := d.ledger.returned(packets); first != nil {
		d.logger.Warn("a packet fails wherever it is sent, while others are taken: it is tried alone, ever more rarely",
			"emitter_id", first.emitterID, "packet_id", first.packetID, "analyzer", d.analyzers[analyzer].ID(), "cause", first.cause)
	}
	d.signal()
}

func (d *Dispatcher) logLastApart() {
	d.logger.Info("no packet fails any more while others are taken")
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
