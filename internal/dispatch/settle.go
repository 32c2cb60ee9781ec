package dispatch

import (
	"logstreamer/internal/packet"
	"logstreamer/internal/upstream"
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

// Refused ends packets that an analyzer will never take: they become dead
// letters, which are safe before the journal forgets them.
func (d *Dispatcher) Refused(analyzer int, refused []upstream.Refused) {
	id := d.analyzers[analyzer].ID()
	packets := make([]*packet.Packet, 0, len(refused))
	for _, r := range refused {
		d.deadLetters.Keep(r.Packet, id, r.Reason, r.Detail)
		packets = append(packets, r.Packet)
	}
	d.deadLetters.Sync()
	for _, r := range refused {
		if r.Packet.Receipt != nil {
			r.Packet.Receipt <- packet.Outcome{Analyzer: id, Refusal: r.Detail}
		}
	}
	if d.ledger.deadLettered(packets) {
		d.logLastApart()
	}
	d.journal.Ack(packets)
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
