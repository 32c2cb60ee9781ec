package disk

import (
	"github.com/logstreamer/logstreamer/internal/packet"
)

// committed records that a commit was written to s at offset; bytes is the size of
// s after it.
func (j *Journal) committed(c *commit, s *segment, offset, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.grownLocked(s, bytes)
	if c.rewrite != nil {
		offset = j.rewrittenLocked(c.rewrite, s, offset)
	}
	residency := j.residencyLocked(c)
	for _, r := range c.requests {
		for _, p := range r.packets {
			offset += j.acceptLocked(p, location{segment: s, offset: offset, bytes: recordBytes(p), residency: residency})
		}
	}
	j.reserved -= c.bytes
	j.retireLocked()
	switch {
	case len(c.requests) == 0:
	case residency == residentFresh:
		j.ready.Notify()
	default:
		j.compacting.Wake()
	}
}

// grownLocked sets the size of the active segment.
func (j *Journal) grownLocked(s *segment, bytes int64) {
	if j.active != s {
		j.active = s
		j.segments = append(j.segments, s)
	}
	j.bytes += bytes - s.bytes
	s.bytes = bytes
}

// acceptLocked adds a packet to the index and the statistics, and returns the size
// of its record. The journal owns the packet afterwards.
func (j *Journal) acceptLocked(p *packet.Packet, at location) int64 {
	at.sequence = p.Sequence
	at.accepted = p.Accepted.UnixNano()
	at.volume.Add(p)
	j.stats.Accepted.Add(p)
	j.stats.Queued.Add(p)
	j.liveBytes += at.bytes
	b, opened := j.index.add(at)
	if at.residency == residentFresh {
		j.held[residentFresh] += p.Footprint()
		j.queues[residentFresh].Push(p)
		return at.bytes
	}
	if opened {
		j.backlog.Push(b)
	}
	j.quotaOnDisk.Add(p.Slot, at.bytes)
	j.deliveryChans.save(p)
	p.Release()
	return at.bytes
}

// residencyLocked decides whether the packets of a commit stay in memory. While a
// backlog exists, fresh packets get at most half of the memory, and leave enough for the
// next block of the backlog: one that never found it would wait for a pause in the traffic.
func (j *Journal) residencyLocked(c *commit) residency {
	limit := j.config.MemoryLimitBytes
	if j.backlog.Len() > 0 {
		limit = min(limit/2, limit-j.backlog.First().footprint())
	} else if j.held[residentBacklog] > 0 {
		limit /= 2
	}
	footprint := j.held[residentFresh]
	for _, r := range c.requests {
		for _, p := range r.packets {
			footprint += p.Footprint()
		}
	}
	if footprint > limit || footprint+j.held[residentBacklog] > j.config.MemoryLimitBytes {
		return residentOnDisk
	}
	return residentFresh
}

// retireLocked marks the oldest segments without unacknowledged packets obsolete.
// Segments are removed in order: each holds acknowledgements for earlier ones.
func (j *Journal) retireLocked() {
	for len(j.segments) > 0 && j.segments[0].unacked == 0 && j.segments[0] != j.active {
		s := j.segments[0]
		j.segments = j.segments[1:]
		j.obsoleteBytes += s.bytes
		j.obsolete = append(j.obsolete, s)
		j.compacting.Wake()
	}
}
