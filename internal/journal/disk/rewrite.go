package disk

import "slices"

// removeObsolete removes the oldest obsolete segment and reports whether it succeeded.
// A segment that cannot be removed blocks later ones, which hold its acknowledgements.
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
		k.failed(removing, "an obsolete segment cannot be removed, retrying", s, err)
		return false
	}
	j.obsolete = j.obsolete[1:]
	j.obsoleteBytes -= s.bytes
	j.bytes -= s.bytes
	k.succeeded(removing)
	return true
}

// rewrite appends copies of the live records of the oldest segment to the log.
type rewrite struct {
	records []byte
	copies  []footerEntry // of records
	blocks  []rewrittenBlock
	done    chan error // capacity 1
}

// rewrittenBlock is the part of a rewrite that belongs to one block.
type rewrittenBlock struct {
	block         *block
	offset, bytes int64 // within rewrite.records
	sequences     []uint64
}

// needsRewriteLocked reports whether acknowledged records take more than a quarter of
// Config.MaxBytes.
func (j *Journal) needsRewriteLocked() bool {
	if j.unwritable != nil || len(j.segments) < 2 {
		return false
	}
	return j.bytesLocked()-j.liveBytes > j.config.MaxBytes/4
}

// rewriteBytes is the approximate size of the records of a rewrite, which are in memory.
const rewriteBytes = 4 << 20

// rewriteOldest rewrites live records of the oldest segment at the end of the log, so that
// after the last of them it and fully acknowledged segments after it become obsolete. It reports
// whether it wrote any.
func (k *compactor) rewriteOldest() bool {
	j := k.journal
	s, snapshots := j.oldestLiveRecords()
	if s == nil {
		return false
	}
	r := &rewrite{records: k.records[:0], done: make(chan error, 1)}
	for _, snapshot := range snapshots {
		b := rewrittenBlock{block: snapshot.origin, offset: int64(len(r.records))}
		err := k.reader.read(&snapshot.block, func(found item) {
			found.kind = kindCopy
			r.records = appendRecord(r.records, found.record)
			r.copies = append(r.copies, footerEntry{kind: kindCopy, bytes: found.bytes, sequence: found.sequence, accepted: found.accepted, volume: found.volume()})
			b.sequences = append(b.sequences, found.sequence)
		})
		if err != nil || uint64(len(b.sequences)) < snapshot.block.unackedCount {
			k.failed(rewriting, "the live records of a segment cannot be read for a rewrite, retrying; their packets are still in memory", s, err)
			return false
		}
		b.bytes = int64(len(r.records)) - b.offset
		r.blocks = append(r.blocks, b)
	}
	k.records = r.records
	k.succeeded(rewriting)
	if !j.submitRewrite(r) {
		return false
	}
	return <-r.done == nil
}

// blockSnapshot is a copy of a block for use without Journal.mu.
type blockSnapshot struct {
	origin *block
	block  block
}

// oldestLiveRecords returns the oldest segment, if it is to be rewritten, and its first blocks. It
// does not return blocks on disk only, which are read in order, and soon.
func (j *Journal) oldestLiveRecords() (*segment, []blockSnapshot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.needsRewriteLocked() {
		return nil, nil
	}
	s := j.segments[0]
	var snapshots []blockSnapshot
	bytes := int64(0)
	for b := range j.index.each {
		if b.segment != s {
			continue
		}
		if b.residency == residentOnDisk {
			return nil, nil
		}
		if bytes += b.bytes; bytes > rewriteBytes && len(snapshots) > 0 {
			continue
		}
		snapshot := blockSnapshot{b, *b}
		snapshot.block.acked = slices.Clone(b.acked)
		snapshots = append(snapshots, snapshot)
	}
	return s, snapshots
}

// submitRewrite passes a rewrite to the committer unless the journal is unwritable.
func (j *Journal) submitRewrite(r *rewrite) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unwritable != nil {
		return false
	}
	j.rewrite = r
	j.committing.Wake()
	return true
}

// rewrittenLocked updates the index for a rewrite that was written to s at offset, and
// returns the offset after it.
func (j *Journal) rewrittenLocked(r *rewrite, s *segment, offset int64) int64 {
	for _, m := range r.blocks {
		b := m.block
		b.segment.unacked -= int64(b.unackedCount)
		s.unacked += int64(b.unackedCount)
		b.segment, b.offset, b.bytes = s, offset+m.offset, m.bytes
		// An acknowledgement before the copy in the log does not apply to it, so
		// those of the meantime are written again.
		for _, sequence := range m.sequences {
			if b.isAcked(sequence) {
				j.acked = append(j.acked, sequence)
			}
		}
	}
	return offset + int64(len(r.records))
}
