package disk

import (
	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// acquireQuotaLocked charges the packet's emitter for its record, or returns false if the
// emitter is over its quota. pending is the size of the records before it in the same
// call.
func (j *Journal) acquireQuotaLocked(p *packet.Packet, size, pending int64) bool {
	p.Slot = emitterquota.SlotOf(emitterquota.TagOf(p.Principal), p) // JSON escapes in the id do not matter
	j.emitters.Record(p.Slot, p.Accepted)
	free := j.config.MaxBytes - j.usedLocked() - j.reserved - pending
	if !j.quota.Admits(p.Slot, size, free, j.emitters.Contended()) {
		return false
	}
	j.quota.Add(p.Slot, size)
	return true
}

// releaseQuotaLocked undoes acquireQuotaLocked.
func (j *Journal) releaseQuotaLocked(p *packet.Packet) { j.quota.Add(p.Slot, -recordBytes(p)) }

// restoreQuotaLocked charges the emitter of a packet that was read back if an earlier run
// accepted it.
func (j *Journal) restoreQuotaLocked(p *packet.Packet) {
	if p.Sequence < j.firstOfRun {
		j.quota.Add(p.Slot, recordBytes(p))
	}
}
