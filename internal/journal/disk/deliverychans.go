package disk

import "github.com/logstreamer/logstreamer/internal/packet"

// mostReceipts bounds the receipts that are kept: those that nobody waits for
// any more stay until their packets are read back.
const maxDeliveryChans = 1 << 14

// receipts are those of packets that wait on disk alone, by sequence.
type deliveryChans map[uint64]chan<- packet.DeliveryResult

// keep takes a packet's receipt before its memory is given back. Beyond the
// bound it is forgotten, so that who waits for it is told nothing in time.
func (r deliveryChans) save(p *packet.Packet) {
	if p.DeliveryChan != nil && len(r) < maxDeliveryChans {
		r[p.Sequence] = p.DeliveryChan
	}
}

// giveBack restores the receipt of a packet that was read back.
func (r deliveryChans) restore(p *packet.Packet) {
	if receipt, ok := r[p.Sequence]; ok {
		p.DeliveryChan = receipt
		delete(r, p.Sequence)
	}
}
