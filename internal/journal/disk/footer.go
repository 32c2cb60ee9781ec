package disk

import (
	"encoding/binary"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// footer lists the records of the active segment, in their order. It is the last record of
// a segment that was ended without a failure, so that a start need not read the others.
//
// It is an acknowledgement record whose body begins with footerMark, which is no varint: a
// reader that does not know footers finds no acknowledgement in it. After the mark and the
// number of the segment the body has the entries; the last four bytes are the size of the
// record.
type footer struct {
	number uint64
	next   uint64 // sequence of the next packet
	text   []byte // the entries before run
	run    footerEntry
}

// footerEntry is a run of packets with adjacent records of at most blockBytes, a copy, or
// an acknowledgement record. Each is the kind and unsigned varints: the bytes of the
// records, the packets or a copy's sequence, the time of acceptance of the first packet,
// the messages and the bytes of the bodies. For acknowledgements their body follows the
// bytes instead.
type footerEntry struct {
	kind     recordKind
	bytes    int64
	sequence uint64 // of the first packet
	accepted int64
	volume   packet.Volume
	acks     []byte
}

const (
	footerMark      = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFIDX1"
	footerSizeBytes = 4
)

// reset begins the footer of a segment; first is the sequence of its first packet.
func (f *footer) reset(number, first uint64) {
	*f = footer{number: number, next: first, text: f.text[:0]}
}

// addPacket adds the next packet, whose record has that many bytes.
func (f *footer) addPacket(p *packet.Packet, bytes int64) {
	if f.run.bytes > 0 && f.run.bytes+bytes > blockBytes {
		f.endRun()
	}
	if f.run.bytes == 0 {
		f.run.kind, f.run.accepted = kindPacket, p.Accepted.UnixNano()
	}
	f.run.bytes += bytes
	f.run.volume.Add(p)
	f.next++
}

func (f *footer) endRun() {
	if f.run.bytes > 0 {
		f.text = f.run.append(f.text)
		f.run = footerEntry{}
	}
}

// addCopies adds the copies of a rewrite.
func (f *footer) addCopies(copies []footerEntry) {
	f.endRun()
	for _, c := range copies {
		f.text = c.append(f.text)
	}
}

// addAcks adds an acknowledgement record, or none if it is empty.
func (f *footer) addAcks(record []byte) {
	if len(record) > 0 {
		f.endRun()
		f.text = footerEntry{kind: kindAcks, bytes: int64(len(record)), acks: record[recordHeaderBytes:]}.append(f.text)
	}
}

// record returns the footer's record, or nil if the segment has no other.
func (f *footer) record() []byte {
	f.endRun()
	if len(f.text) == 0 {
		return nil
	}
	body := binary.LittleEndian.AppendUint64([]byte(footerMark), f.number)
	body = append(body, f.text...)
	body = binary.LittleEndian.AppendUint32(body, uint32(recordHeaderBytes+len(body)+footerSizeBytes))
	return appendRecord(nil, record{kind: kindAcks, sequence: f.next, body: body})
}

func (e footerEntry) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, byte(e.kind)), uint64(e.bytes))
	switch e.kind {
	case kindAcks:
		return append(dst, e.acks...)
	case kindCopy:
		dst = binary.AppendUvarint(dst, e.sequence)
	default:
		dst = binary.AppendUvarint(dst, uint64(e.volume.Packets))
	}
	dst = binary.AppendUvarint(dst, uint64(e.accepted))
	dst = binary.AppendUvarint(dst, uint64(e.volume.Messages))
	return binary.AppendUvarint(dst, uint64(e.volume.Bytes))
}
