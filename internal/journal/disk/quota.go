package disk

import (
	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// slotOf returns the slot of a packet's emitter, which is the same however its
// id is escaped.
func slotOf(p *packet.Packet) uint16 {
	var buffer [128]byte
	return emitterquota.SlotOf(p.EmitterID.Decoded(buffer[:0], p.Body))
}

// shareLocked gives a packet's emitter room for its record if that leaves some
// to the others. So many bytes of the same call are promised already.
func (j *Journal) acquireQuotaLocked(p *packet.Packet, size, promised int64) bool {
	p.Slot = slotOf(p)
	j.emitters.Record(p.Slot, p.Accepted)
	free := j.config.MaxBytes - j.usedLocked() - j.reserved - promised
	if !j.quota.Admits(p.Slot, size, free, j.emitters.Contended()) {
		return false
	}
	j.quota.Add(p.Slot, size)
	return true
}

// unshareLocked ends what shareLocked gave.
func (j *Journal) releaseQuotaLocked(p *packet.Packet) { j.quota.Add(p.Slot, -recordBytes(p)) }

// restoreShareLocked notes whose a packet is that was read back. One of an
// earlier run counts from now on.
func (j *Journal) restoreQuotaLocked(p *packet.Packet) {
	p.Slot = slotOf(p)
	if p.Sequence < j.firstOfRun {
		j.quota.Add(p.Slot, recordBytes(p))
	}
}
