package disk

import (
	"github.com/logstreamer/logstreamer/internal/packet"
)

// committed enters a commit that is on disk at an offset into the books. The
// segment has bytes bytes now.
func (j *Journal) committed(c *commit, s *segment, offset, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writtenLocked(s, bytes)
	if c.moving != nil {
		offset = j.movedLocked(c.moving, s, offset)
	}
	lane := j.laneForLocked(c)
	for _, r := range c.requests {
		for _, p := range r.packets {
			offset += j.acceptLocked(p, placed{segment: s, offset: offset, bytes: recordBytes(p), lane: lane})
		}
	}
	j.promised -= c.bytes
	j.retireLocked()
	switch {
	case len(c.requests) == 0:
	case lane == laneFresh:
		j.announce()
	default:
		j.keeping.wake()
	}
}

// writtenLocked takes note of how large the newest segment is.
func (j *Journal) writtenLocked(s *segment, bytes int64) {
	if j.active != s {
		j.active = s
		j.segments = append(j.segments, s)
	}
	j.bytes += bytes - s.bytes
	s.bytes = bytes
}

// acceptLocked makes the journal the owner of a packet and returns the size of
// its record.
func (j *Journal) acceptLocked(p *packet.Packet, at placed) int64 {
	at.sequence = p.Sequence
	at.accepted = p.Accepted.UnixNano()
	at.volume.Add(p)
	j.books.Accepted.Add(p)
	j.books.Queued.Add(p)
	j.live += at.bytes
	b, opened := j.index.add(at)
	if at.lane == laneFresh {
		j.held[laneFresh] += p.Footprint()
		j.waiting[laneFresh].Push(p)
		return at.bytes
	}
	if opened {
		j.backlog.Push(b)
	}
	j.receipts.keep(p)
	p.Release()
	return at.bytes
}

// laneForLocked decides whether the packets of a commit stay in memory. While
// there is a backlog, fresh packets get half of the memory at most, so that the
// backlog can be read as well.
func (j *Journal) laneForLocked(c *commit) lane {
	limit := j.config.MemoryLimitBytes
	if j.backlog.Len() > 0 || j.held[laneBacklog] > 0 {
		limit /= 2
	}
	footprint := j.held[laneFresh]
	for _, r := range c.requests {
		for _, p := range r.packets {
			footprint += p.Footprint()
		}
	}
	if footprint > limit || footprint+j.held[laneBacklog] > j.config.MemoryLimitBytes {
		return laneDisk
	}
	return laneFresh
}

// retireLocked hands the segments at the front that have nothing left to the
// keeper. Only the front may go: a segment holds acknowledgements for those
// before it.
func (j *Journal) retireLocked() {
	for len(j.segments) > 0 && j.segments[0].left == 0 && j.segments[0] != j.active {
		s := j.segments[0]
		j.segments = j.segments[1:]
		j.dying += s.bytes
		j.dead = append(j.dead, s)
		j.keeping.wake()
	}
}
