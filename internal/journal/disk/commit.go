package disk

import (
	"github.com/logstreamer/logstreamer/internal/packet"
)

// committed enters a commit that is on disk at an offset into the books. The
// segment has bytes bytes now.
func (j *Journal) committed(c *commit, s *segment, offset, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.grownLocked(s, bytes)
	if c.rewrite != nil {
		offset = j.rewrittenLocked(c.rewrite, s, offset)
	}
	lane := j.residencyLocked(c)
	for _, r := range c.requests {
		for _, p := range r.packets {
			offset += j.acceptLocked(p, location{segment: s, offset: offset, bytes: recordBytes(p), residency: lane})
		}
	}
	j.reserved -= c.bytes
	j.retireLocked()
	switch {
	case len(c.requests) == 0:
	case lane == residentFresh:
		j.signalReady()
	default:
		j.compacting.wake()
	}
}

// writtenLocked takes note of how large the newest segment is.
func (j *Journal) grownLocked(s *segment, bytes int64) {
	if j.active != s {
		j.active = s
		j.segments = append(j.segments, s)
	}
	j.bytes += bytes - s.bytes
	s.bytes = bytes
}

// acceptLocked makes the journal the owner of a packet and returns the size of
// its record.
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
	j.deliveryChans.save(p)
	p.Release()
	return at.bytes
}

// laneForLocked decides whether the packets of a commit stay in memory. While
// there is a backlog, fresh packets get half of the memory at most, so that the
// backlog can be read as well.
func (j *Journal) residencyLocked(c *commit) residency {
	limit := j.config.MemoryLimitBytes
	if j.backlog.Len() > 0 || j.held[residentBacklog] > 0 {
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

// retireLocked hands the segments at the front that have nothing left to the
// keeper. Only the front may go: a segment holds acknowledgements for those
// before it.
func (j *Journal) retireLocked() {
	for len(j.segments) > 0 && j.segments[0].unacked == 0 && j.segments[0] != j.active {
		s := j.segments[0]
		j.segments = j.segments[1:]
		j.obsoleteBytes += s.bytes
		j.obsolete = append(j.obsolete, s)
		j.compacting.wake()
	}
}
