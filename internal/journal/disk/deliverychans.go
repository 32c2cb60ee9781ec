package disk

import "github.com/logstreamer/logstreamer/internal/packet"

// maxDeliveryChans bounds the stored channels: the channels of requests that timed out stay until
// their packets are read back.
const maxDeliveryChans = 1 << 14

// deliveryChans has the delivery channels of packets that are on disk only, by sequence.
type deliveryChans map[uint64]chan<- packet.DeliveryResult

// save stores a packet's channel before the packet is released. Above the bound the
// channel is dropped, and its request times out.
func (r deliveryChans) save(p *packet.Packet) {
	if p.DeliveryChan != nil && len(r) < maxDeliveryChans {
		r[p.Sequence] = p.DeliveryChan
	}
}

// restore sets the channel of a packet that was read back.
func (r deliveryChans) restore(p *packet.Packet) {
	if c, ok := r[p.Sequence]; ok {
		p.DeliveryChan = c
		delete(r, p.Sequence)
	}
}
