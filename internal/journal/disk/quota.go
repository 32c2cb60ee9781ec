package disk

import (
	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// quotaAdmitsLocked reports whether the packet's emitter may have its record. pending is the
// size of the records before it in the same call.
func (j *Journal) quotaAdmitsLocked(p *packet.Packet, size, pending int64) bool {
	p.Slot = emitterquota.SlotOf(emitterquota.TagOf(p.Principal), p) // JSON escapes in the id do not matter
	j.emitters.Record(p.Slot, p.Accepted)
	free := j.config.MaxBytes - j.usedLocked() - j.reserved - pending
	return j.quota.Admits(p.Slot, size, free, j.emitters.Contended())
}

// releaseQuotaLocked ends the charge for the packet's record.
func (j *Journal) releaseQuotaLocked(p *packet.Packet) { j.quota.Add(p.Slot, -recordBytes(p)) }

// restoreQuotaLocked charges the emitter of a packet that was read back if an earlier run
// accepted it.
func (j *Journal) restoreQuotaLocked(p *packet.Packet) {
	if p.Sequence < j.firstOfRun {
		j.quota.Add(p.Slot, recordBytes(p))
	} else {
		j.quotaOnDisk.Add(p.Slot, -recordBytes(p))
	}
}

// releaseLostQuotaLocked ends the charges for packets that could not be read back, whose emitters
// are unknown: with an empty backlog quotaOnDisk has no others.
func (j *Journal) releaseLostQuotaLocked() {
	if j.backlog.Len() > 0 {
		return
	}
	j.quota.Subtract(&j.quotaOnDisk)
	j.quotaOnDisk = emitterquota.Quota{}
}
