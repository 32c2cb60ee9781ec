package router

import (
	"cmp"
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Delivered settles packets that an analyzer accepted.
func (r *Router) Delivered(analyzer string, deliveries []upstream.Delivery) {
	r.recordOutcomes(deliveries, outcomeDelivered)
	var volume packet.Volume
	retries := false
	for i := range deliveries {
		d := &deliveries[i]
		volume.Add(d.Packet)
		retries = retries || isRetry(*d)
		if d.Packet.DeliveryChan != nil {
			d.Packet.DeliveryChan <- packet.DeliveryResult{Analyzer: analyzer}
		}
	}
	r.accounting.delivered(analyzer, deliveries, volume)
	if retries {
		r.reportSettled(r.requeue.settle(deliveries, true))
	}
	r.ack(deliveries)
}

// Rejected settles packets that an analyzer rejected: their dead letters are
// stored before they are acknowledged. Packets whose dead letters could not be
// written are retried.
func (r *Router) Rejected(analyzer string, rejections []upstream.Rejection) {
	entries := make([]deadletter.Entry, 0, len(rejections))
	for _, rejection := range rejections {
		entries = append(entries, deadletter.Entry{
			Packet: rejection.Delivery.Packet, Analyzer: analyzer, Reason: rejection.Reason, Detail: rejection.Detail,
		})
	}
	var settled, failed []upstream.Delivery
	for i, stored := range r.deadLetters.Add(entries) {
		rejection := rejections[i]
		if !stored {
			failed = append(failed, rejection.Delivery)
			continue
		}
		settled = append(settled, rejection.Delivery)
		r.recordOutcomes(settled[len(settled)-1:], outcomeDeadLettered)
		if waiting := rejection.Delivery.Packet.DeliveryChan; waiting != nil {
			// An analyzer may give no detail; without a rejection it would be a delivery.
			waiting <- packet.DeliveryResult{Analyzer: analyzer, Rejection: cmp.Or(rejection.Detail, rejection.Reason)}
		}
	}
	if len(settled) > 0 {
		r.accounting.deadLettered(analyzer, settled)
		r.reportSettled(r.requeue.settle(settled, false))
		r.reportSettled(false, r.requeue.deadLetterWritten())
		r.ack(settled)
	}
	if len(failed) > 0 {
		r.recordOutcomes(failed, outcomeRerouted)
		r.accounting.nacked(analyzer, failed, int64(len(failed)))
		own(failed)
		r.reportSettled(r.requeue.pushDeadLetters(failed, time.Now()), true)
	}
}

// Nacked requeues packets that were not delivered.
func (r *Router) Nacked(analyzer string, deliveries []upstream.Delivery) {
	r.recordOutcomes(deliveries, outcomeRerouted)
	r.accounting.nacked(analyzer, deliveries, attempted(deliveries))
	own(deliveries)
	if first := r.requeue.push(deliveries); first != nil {
		r.logger.Warn("analyzers keep failing with a packet and accept others: it is quarantined: retried alone, with growing delays",
			"emitter_id", first.emitterID, "packet_id", first.packetID, "analyzer", analyzer, "cause", first.cause)
	}
	r.wake.Notify()
}

// own copies packets out of shared buffers, which packets that may wait for long must not
// hold.
func own(deliveries []upstream.Delivery) {
	for i := range deliveries {
		deliveries[i].Packet = deliveries[i].Packet.Own()
	}
}

// attempted returns the number of packets that an analyzer may have received.
func attempted(deliveries []upstream.Delivery) (packets int64) {
	for i := range deliveries {
		if deliveries[i].Attempted {
			packets++
		}
	}
	return packets
}

// ack acknowledges packets in a pooled slice: analyzers settle from many goroutines.
func (r *Router) ack(deliveries []upstream.Delivery) {
	buffer, ok := r.packets.Get().(*[]*packet.Packet)
	if !ok {
		buffer = new([]*packet.Packet)
	}
	*buffer = upstream.AppendPackets((*buffer)[:0], deliveries)
	r.journal.Ack(*buffer)
	clear(*buffer)
	r.packets.Put(buffer)
}

func (r *Router) reportSettled(lastQuarantined, ready bool) {
	if lastQuarantined {
		r.logger.Info("no packet is quarantined any more")
	}
	if ready {
		r.wake.Notify()
	}
}

// CapacityChanged wakes the routing goroutine if it waits for capacity.
func (r *Router) CapacityChanged() {
	if r.awaitingCapacity.Load() {
		r.wake.Notify()
	}
}
