package disk

import (
	"bytes"
	"encoding/binary"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// readFooter applies the footer of a segment. It returns false if it has none, or one that
// does not fit.
func (r *replay) readFooter(s *segment, f file, first, limit uint64) bool {
	sizeAt := max(s.size-footerSizeBytes, 0)
	r.scanner.reset(f, sizeAt, s.size)
	text := r.scanner.window(sizeAt, footerSizeBytes)
	if len(text) < footerSizeBytes {
		return false
	}
	offset := s.size - int64(binary.LittleEndian.Uint32(text))
	if offset < segmentHeaderBytes || offset >= sizeAt {
		return false
	}
	r.scanner.reset(f, offset, s.size)
	found, size := r.scanner.recordAt(offset)
	if offset+size != s.size {
		return false
	}
	entries, next := parseFooter(found, s.number, first, offset)
	if len(entries) == 0 || first == 0 || first != r.next || next > limit {
		return false
	}
	r.applyFooter(s, entries)
	s.bytes = s.size
	return true
}

// applyFooter is record for all entries of a footer.
func (r *replay) applyFooter(s *segment, entries []footerEntry) {
	offset := int64(segmentHeaderBytes)
	for _, e := range entries {
		p := location{segment: s, offset: offset, bytes: e.bytes, sequence: e.sequence, accepted: e.accepted, volume: e.volume}
		switch e.kind {
		case kindAcks:
			parseAcks(e.acks, r.index.ackRange)
		case kindCopy:
			r.index.addCopy(p)
		default:
			r.index.add(p)
			r.next = e.sequence + uint64(e.volume.Packets)
		}
		offset += e.bytes
	}
}

// footerParser reads the entries of a footer.
type footerParser struct {
	rest   []byte
	failed bool
}

// parseFooter returns the entries of a footer and the sequence after its packets. It
// returns no entries unless their records fill the segment with that number and first
// sequence from its header to the footer at offset.
func parseFooter(r record, number, first uint64, offset int64) (entries []footerEntry, next uint64) {
	body, ok := bytes.CutPrefix(r.body, []byte(footerMark))
	if r.kind != kindAcks || !ok || len(body) < 8+footerSizeBytes || binary.LittleEndian.Uint64(body) != number {
		return nil, 0
	}
	parser := footerParser{rest: body[8 : len(body)-footerSizeBytes]}
	next, at := first, int64(segmentHeaderBytes)
	for len(parser.rest) > 0 {
		e := parser.entry()
		if parser.failed || e.bytes > offset-at {
			return nil, 0
		}
		if e.kind == kindPacket {
			e.sequence = next
			next += uint64(e.volume.Packets)
		}
		at += e.bytes
		entries = append(entries, e)
	}
	if at != offset || next != r.sequence || next < first {
		return nil, 0
	}
	return entries, next
}

func (p *footerParser) entry() footerEntry {
	e := footerEntry{kind: recordKind(p.rest[0]), volume: packet.Volume{Packets: 1}}
	p.rest = p.rest[1:]
	e.bytes = p.number(maxSegmentDataBytes)
	switch e.kind {
	case kindAcks:
		e.acks = p.take(e.bytes - recordHeaderBytes)
		return e
	case kindCopy:
		e.sequence = p.varint()
	case kindPacket:
		e.volume.Packets = p.number(e.bytes / recordHeaderBytes)
	default:
		p.failed = true
	}
	e.accepted = int64(p.varint())
	e.volume.Messages = p.number(e.volume.Packets << 32)
	e.volume.Bytes = p.number(e.bytes)
	p.failed = p.failed || e.volume.Packets == 0 || e.bytes-e.volume.Bytes < e.volume.Packets*recordHeaderBytes
	return e
}

func (p *footerParser) varint() uint64 {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 {
		p.failed = true
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

// number returns a varint of at most maximum.
func (p *footerParser) number(maximum int64) int64 {
	n := p.varint()
	if n > uint64(maximum) {
		p.failed = true
		return 0
	}
	return int64(n)
}

// take returns the next n bytes.
func (p *footerParser) take(n int64) []byte {
	if n < 0 || n > int64(len(p.rest)) {
		p.failed = true
		return nil
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}
