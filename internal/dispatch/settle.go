package dispatch

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Delivered ends packets that an analyzer took.
func (d *Dispatcher) Delivered(analyzer int, packets []*packet.Packet) {
	for _, p := range packets {
		if p.Receipt != nil {
			p.Receipt <- packet.Outcome{Analyzer: d.analyzers[analyzer].ID()}
		}
	}
	d.noteEnd(d.ledger.delivered(packets))
	d.journal.Ack(packets)
}

// Refused ends packets that an analyzer will never take: they become dead
// letters, which are safe before the journal forgets them. Those whose letters are
// not stay, and are tried again.
func (d *Dispatcher) Refused(analyzer int, refused []upstream.Rejection) {
	id := d.analyzers[analyzer].ID()
	letters := make([]deadletter.Letter, 0, len(refused))
	for _, r := range refused {
		letters = append(letters, deadletter.Letter{Packet: r.Packet, Analyzer: id, Reason: r.Reason, Detail: r.Detail})
	}
	ended, unwritten := d.deadLetters.Keep(letters)
	for _, l := range ended {
		if l.Packet.Receipt != nil {
			l.Packet.Receipt <- packet.Outcome{Analyzer: id, Refusal: l.Detail}
		}
	}
	packets := packetsOf(ended)
	d.noteEnd(d.ledger.deadLettered(packets))
	d.journal.Ack(packets)
	d.noteEnd(d.ledger.putOff(packetsOf(unwritten), time.Now()))
}

func packetsOf(letters []deadletter.Letter) []*packet.Packet {
	packets := make([]*packet.Packet, 0, len(letters))
	for _, l := range letters {
		packets = append(packets, l.Packet)
	}
	return packets
}

// Returned takes packets back, to be routed elsewhere.
func (d *Dispatcher) Returned(analyzer int, packets []*packet.Packet) {
	if first := d.ledger.returned(packets); first != nil {
		d.logger.Warn("analyzers keep failing with a packet and take others: it is tried alone, ever more rarely",
			"emitter_id", first.emitterID, "packet_id", first.packetID, "analyzer", d.analyzers[analyzer].ID(), "cause", first.cause)
	}
	d.signal()
}

func (d *Dispatcher) noteEnd(lastApart, freed bool) {
	if lastApart {
		d.logger.Info("analyzers keep failing with no packet any more")
	}
	if freed {
		d.signal()
	}
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
