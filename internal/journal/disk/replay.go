package disk

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// replay reads the segments in order and builds the index of the unacknowledged packets
// and the list of damages. It changes nothing.
type replay struct {
	files fileSystem
	dir   string
	// footers makes it read the footers of segments in place of their records, whose
	// damage is then found when they are read for delivery.
	footers bool

	index      index
	segments   []*segment
	foreign    []Foreign
	next       uint64 // sequence of the next packet
	started    bool   // next is known
	damages    []Damage
	unresolved bool  // the last damage may have contained missing packets
	packets    int64 // valid packet records
	scanner    scanner
}

// run reads the journal. Damage and read errors do not fail it. A segment that cannot be
// opened does: the next run would assign its sequences again.
func (r *replay) run() error {
	names, err := r.files.List(r.dir)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	firsts, err := r.findSegments(names)
	if err != nil {
		return err
	}
	for i, s := range r.segments {
		if err := r.readSegment(s, firsts[i:]); err != nil {
			return err
		}
	}
	if err := r.recountVolumes(); err != nil {
		return err
	}
	r.resolveDamages()
	return nil
}

// findSegments finds the segments among files and returns their first sequences, 0 where
// unknown.
func (r *replay) findSegments(names []string) (firsts []uint64, err error) {
	for _, name := range r.files.Irregular(r.dir) {
		if strings.HasSuffix(name, segmentSuffix) {
			r.addForeign(filepath.Join(r.dir, name), "it is not a regular file")
		}
	}
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		number, ok := segmentNumber(name)
		if !ok {
			r.addForeign(filepath.Join(r.dir, name), fmt.Sprintf("its name is not a number from 1 to %x in 16 digits", uint64(maxSegmentNumber)))
			continue
		}
		s := &segment{number: number, path: segmentPath(r.dir, number)}
		first, err := r.firstSequence(s)
		if foreign := (*foreignError)(nil); errors.As(err, &foreign) {
			r.addForeign(s.path, foreign.reason)
			continue
		}
		if err != nil {
			return nil, err
		}
		r.segments, firsts = append(r.segments, s), append(firsts, first)
	}
	return firsts, nil
}

func (r *replay) addForeign(path, reason string) {
	r.foreign = append(r.foreign, Foreign{path, reason})
}

// firstSequence returns the first sequence of a segment, or 0 if unknown.
func (r *replay) firstSequence(s *segment) (uint64, error) {
	f, err := r.files.Open(s.path)
	if err != nil {
		return 0, nil // readSegment reports it
	}
	defer f.Close()
	if end, err := f.DataEnd(); err == nil && end > maxSegmentDataBytes {
		return 0, &foreignError{fmt.Sprintf("it has %d bytes of data, the maximum of a segment is %d", end, int64(maxSegmentDataBytes))}
	}
	var b [segmentHeaderBytes]byte
	var unread badExtents
	n, _ := unread.read(f, b[:], 0)
	header, err := parseSegmentHeader(b[:n])
	if version := (*VersionError)(nil); errors.As(err, &version) {
		version.Path = s.path
		return 0, version
	}
	if err == nil && header.number != s.number {
		return 0, &foreignError{fmt.Sprintf("its header has the number %016x: it was copied or renamed", header.number)}
	}
	if err == nil {
		return header.first, nil
	}
	s.badHeader = true
	if s.number == 1 {
		return 1, nil
	}
	size, err := f.DataEnd()
	if err != nil || size <= segmentHeaderBytes {
		return 0, nil
	}
	r.scanner.reset(f, segmentHeaderBytes, size)
	for {
		found, ok := r.scanner.next()
		if !ok {
			return 0, nil
		}
		if !found.damaged && found.kind != kindCopy {
			return found.sequence, nil
		}
	}
}

// readSegment reads one segment; firsts are the first sequences of it and of the later
// ones.
func (r *replay) readSegment(s *segment, firsts []uint64) error {
	f, err := r.files.Open(s.path)
	if isNotExist(err) {
		r.started = false // removed after List: a gap is no loss
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	end, err := f.DataEnd()
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	s.size, s.bytes = size, min(size, segmentHeaderBytes)
	end = max(end, s.bytes)
	last := len(firsts) == 1
	if s.badHeader && !((last || r.started) && r.isBlank(f, end)) {
		r.damages = append(r.damages, Damage{Segment: s.path, Bytes: s.bytes, Reason: "the header of the segment is damaged"})
		r.unresolved = true
	}
	if firsts[0] != 0 {
		r.expect(s, firsts[0], s.bytes)
	}
	limit := firstKnown(firsts[1:])
	if !r.footers || s.badHeader || !r.readFooter(s, f, firsts[0], limit) {
		r.scanner.reset(f, s.bytes, end)
		r.scan(s, limit, last)
	}
	return nil
}

// scan reads the records of a segment.
func (r *replay) scan(s *segment, limit uint64, last bool) {
	for {
		found, ok := r.scanner.next()
		if !ok {
			return
		}
		s.bytes = found.offset + found.bytes
		if found.damaged {
			r.damaged(s, found, last)
			continue
		}
		r.record(s, found, limit)
	}
}

// isBlank reports whether a file has only zeros, as after a crash during its creation.
func (r *replay) isBlank(f file, size int64) bool {
	r.scanner.reset(f, 0, size)
	_, ok := r.scanner.next()
	return !ok
}

// firstKnown returns the first known sequence of the later segments, which bounds those
// of the earlier ones.
func firstKnown(firsts []uint64) uint64 {
	for _, first := range firsts {
		if first != 0 {
			return first
		}
	}
	return math.MaxUint64
}

// record applies a valid record. Packets with sequences from limit on are invalid: their
// commit failed.
func (r *replay) record(s *segment, found item, limit uint64) {
	p := location{
		segment: s, offset: found.offset, bytes: found.bytes,
		sequence: found.sequence, accepted: found.accepted, volume: found.volume(),
	}
	switch {
	case found.kind == kindAcks:
		r.expect(s, min(found.sequence, limit), found.offset)
		parseAcks(found.body, r.index.ackRange)
		return
	case found.kind == kindCopy || r.started && found.sequence < r.next:
		r.index.addCopy(p)
	case found.sequence < limit:
		r.expect(s, found.sequence, found.offset)
		r.index.add(p)
		r.next = found.sequence + 1
	}
	r.packets++
}

// expect sets the next sequence. Packets with sequences between the old and the new one
// are lost.
func (r *replay) expect(s *segment, sequence uint64, offset int64) {
	if !r.started || sequence <= r.next {
		r.next, r.started, r.unresolved = max(r.next, sequence), true, false
		return
	}
	lost := r.index.addLost(sequenceRange{r.next, sequence - r.next})
	r.next = sequence
	if r.unresolved {
		r.damages[len(r.damages)-1].lost = lost
		r.unresolved = false
		return
	}
	r.damages = append(r.damages, Damage{
		Segment: s.path, Offset: offset, Reason: "packets are missing before this place", lost: lost,
	})
}

// damaged records damage. The sequences of the records around it identify the lost
// packets, except at the end of the last segment: there it skips the maximum number of
// sequences, so that none is assigned twice.
func (r *replay) damaged(s *segment, found item, last bool) {
	d := found.damage(s.path)
	s.unread = s.unread || d.Unread
	switch {
	case !last || !found.atEnd:
		r.unresolved = true
	case found.unfinished:
		d.Unfinished, d.Reason = true, "incomplete write"
	case found.packets > 0:
		r.started = true
		d.lost = r.index.addLost(sequenceRange{r.next, found.packets})
		r.next += found.packets
	}
	r.damages = append(r.damages, d)
}

// resolveDamages counts the lost packets that are not acknowledged and removes them from
// the index.
func (r *replay) resolveDamages() {
	for i := range r.damages {
		d := &r.damages[i]
		if d.lost == nil || d.lost.unackedCount == 0 {
			continue
		}
		d.Packets = int64(d.lost.unackedCount)
		d.lost.eachUnacked(func(sequence uint64) {
			if d.First == 0 {
				d.First = sequence
			}
			d.Last = sequence
		})
		d.lost.unackedCount = 0
		r.index.removeIfEmpty(d.lost)
	}
}

// recountVolumes computes the volumes of partly acknowledged blocks. Read errors are
// reported when the packets are read back.
func (r *replay) recountVolumes() error {
	reader := blockReader{files: r.files}
	defer reader.close()
	for b := range r.index.each {
		if b.acked == nil || b.segment == nil {
			continue
		}
		b.volume, b.records = packet.Volume{}, 0
		err := reader.read(b, func(found item) {
			b.records += found.bytes
			b.volume = b.volume.Plus(found.volume())
		})
		if unopened := (*unopenedError)(nil); errors.As(err, &unopened) && !isNotExist(err) {
			return fmt.Errorf("read the journal: %w", err)
		}
	}
	return nil
}
