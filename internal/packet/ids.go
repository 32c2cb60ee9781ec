package packet

import "hash/maphash"

var seed = maphash.MakeSeed()

// HashIDs returns a hash of ids without JSON escapes, that of the emitter in the upper half.
// It differs from process to process, and is not 0.
func HashIDs(emitterID, packetID []byte) uint64 {
	return maphash.Bytes(seed, emitterID)&^(1<<32-1) | maphash.Bytes(seed, packetID)>>32 | 1
}

// IDs returns HashIDs of the packet, which it computes once. An early call is cheaper, because the
// ids are still in the processor's cache. Only the owner may call it.
func (p *Packet) IDs() uint64 {
	if p.ids == 0 {
		var emitter, packet [128]byte
		p.ids = HashIDs(p.EmitterID.Decoded(emitter[:0], p.Body), p.PacketID.Decoded(packet[:0], p.Body))
	}
	return p.ids
}
