package disk

import "slices"

// removeDead removes segments that have nothing left, oldest first, and tells
// whether one went. One that cannot be removed holds up those behind it, which
// have its acknowledgements.
func (k *compactor) removeObsolete() bool {
	j := k.journal
	j.mu.Lock()
	if len(j.obsolete) == 0 {
		j.mu.Unlock()
		return false
	}
	s := j.obsolete[0]
	unread := s.unread
	j.mu.Unlock()
	if k.reader.path == s.path {
		k.reader.close()
	}
	var err error
	if unread {
		err = j.quarantine.addFile(s.path)
	} else {
		err = j.files.Remove(s.path)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.removeFailed = err != nil && !isNotExist(err); j.removeFailed {
		k.failed(removing, "a segment that is not needed any more cannot be removed, which is tried again", s, err)
		return false
	}
	j.obsolete = j.obsolete[1:]
	j.obsoleteBytes -= s.bytes
	j.bytes -= s.bytes
	k.succeeded(removing)
	return true
}

// relocation is stragglers on their way from the oldest segment to the newest.
type rewrite struct {
	records []byte
	blocks  []rewrittenBlock
	done    chan error // holds one value
}

// move is the part of a relocation that belongs to one block.
type rewrittenBlock struct {
	block         *block
	offset, bytes int64 // in the records
	sequences     []uint64
}

// hasStragglersLocked tells whether the oldest segment should be emptied: a
// quarter of the budget is taken by packets that are gone, and what it still
// holds is in memory already, waiting for somebody who is slow. What waits on
// disk alone is not moved: it will be read in order.
func (j *Journal) needsRewriteLocked() bool {
	if j.unwritable != nil || len(j.segments) < 2 {
		return false
	}
	return j.bytesLocked()-j.liveBytes > j.config.MaxBytes/4
}

// moveStragglers writes what is left of the oldest segment again, behind
// everything else, so that the segment and those after it can go. It tells
// whether it moved anything.
func (k *compactor) rewriteOldest() bool {
	j := k.journal
	s, snapshots := j.oldestLiveRecords()
	if s == nil {
		return false
	}
	r := &rewrite{records: k.records[:0], done: make(chan error, 1)}
	for _, snapshot := range snapshots {
		m := rewrittenBlock{block: snapshot.origin, offset: int64(len(r.records))}
		err := k.reader.read(&snapshot.block, func(found item) {
			found.kind = kindCopy
			r.records = appendRecord(r.records, found.record)
			m.sequences = append(m.sequences, found.sequence)
		})
		if err != nil || uint64(len(m.sequences)) < snapshot.block.unackedCount {
			k.failed(rewriting, "a segment cannot be emptied now because its packets cannot be read again; they are in memory still", s, err)
			return false
		}
		m.bytes = int64(len(r.records)) - m.offset
		r.blocks = append(r.blocks, m)
	}
	k.records = r.records
	k.succeeded(rewriting)
	if !j.submitRewrite(r) {
		return false
	}
	return <-r.done == nil
}

// blockSnapshot is a block as it was at one moment.
type blockSnapshot struct {
	origin *block
	block  block
}

// stragglers returns the oldest segment and what is left in it, if it should be
// emptied.
func (j *Journal) oldestLiveRecords() (*segment, []blockSnapshot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.needsRewriteLocked() {
		return nil, nil
	}
	s := j.segments[0]
	var snapshots []blockSnapshot
	for b := range j.index.each {
		if b.segment != s {
			continue
		}
		if b.residency == residentOnDisk {
			return nil, nil
		}
		snapshot := blockSnapshot{b, *b}
		snapshot.block.acked = slices.Clone(b.acked)
		snapshots = append(snapshots, snapshot)
	}
	return s, snapshots
}

// submit hands a relocation to the committer, unless nothing can be written.
func (j *Journal) submitRewrite(r *rewrite) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unwritable != nil {
		return false
	}
	j.rewrite = r
	j.committing.wake()
	return true
}

// movedLocked enters a relocation that is on disk at an offset of a segment
// into the index and returns the offset behind it.
func (j *Journal) rewrittenLocked(r *rewrite, s *segment, offset int64) int64 {
	for _, m := range r.blocks {
		b := m.block
		b.segment.unacked -= int64(b.unackedCount)
		s.unacked += int64(b.unackedCount)
		b.segment, b.offset, b.bytes = s, offset+m.offset, m.bytes
		// What was acknowledged meanwhile may be written before its copy,
		// where it would not count.
		for _, sequence := range m.sequences {
			if b.isAcked(sequence) {
				j.acked = append(j.acked, sequence)
			}
		}
	}
	return offset + int64(len(r.records))
}
