package router

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Delivered settles packets that an analyzer accepted.
func (r *Router) Delivered(analyzer int, packets []*packet.Packet) {
	for _, p := range packets {
		if p.DeliveryChan != nil {
			p.DeliveryChan <- packet.DeliveryResult{Analyzer: r.members[analyzer].ID()}
		}
	}
	r.reportSettled(r.ledger.delivered(packets))
	r.journal.Ack(packets)
}

// Rejected settles packets that an analyzer rejected: their dead letters are
// stored before they are acknowledged. Packets whose dead letters could not be
// written are retried.
func (r *Router) Rejected(analyzer int, rejections []upstream.Rejection) {
	id := r.members[analyzer].ID()
	entries := make([]deadletter.Entry, 0, len(rejections))
	for _, rejection := range rejections {
		entries = append(entries, deadletter.Entry{
			Packet: rejection.Packet, Analyzer: id, Reason: rejection.Reason, Detail: rejection.Detail,
		})
	}
	done, retry := r.deadLetters.Add(entries)
	for _, e := range done {
		if e.Packet.DeliveryChan != nil {
			e.Packet.DeliveryChan <- packet.DeliveryResult{Analyzer: id, Rejection: e.Detail}
		}
	}
	packets := packetsOf(done)
	r.reportSettled(r.ledger.deadLettered(packets))
	r.journal.Ack(packets)
	r.reportSettled(r.ledger.requeueDeadLetters(packetsOf(retry), time.Now()))
}

func packetsOf(entries []deadletter.Entry) []*packet.Packet {
	packets := make([]*packet.Packet, 0, len(entries))
	for _, e := range entries {
		packets = append(packets, e.Packet)
	}
	return packets
}

// Nacked requeues packets that were not delivered.
func (r *Router) Nacked(analyzer int, packets []*packet.Packet) {
	if first := r.ledger.nacked(packets); first != nil {
		r.logger.Warn("analyzers keep failing with a packet and accept others: it is quarantined, which means retried alone and ever less often",
			"emitter_id", first.emitterID, "packet_id", first.packetID, "analyzer", r.members[analyzer].ID(), "cause", first.cause)
	}
	r.signal()
}

func (r *Router) reportSettled(lastQuarantined, ready bool) {
	if lastQuarantined {
		r.logger.Info("no packet is quarantined any more")
	}
	if ready {
		r.signal()
	}
}

// CapacityChanged wakes the routing goroutine if it waits for capacity.
func (r *Router) CapacityChanged() {
	if r.awaitingCapacity.Load() {
		r.signal()
	}
}

func (r *Router) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
