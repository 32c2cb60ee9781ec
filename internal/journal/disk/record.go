package disk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// A record, little endian:
//
//	 0        4     5      6           7     8        12         16         24         32         36
//	+--------+-----+------+-----------+-----+--------+----------+----------+----------+----------+---------------------+
//	| magic  | ver | kind | trace len | tag | length | CRC32C   | sequence | accepted | messages | traceparent, body … |
//	+--------+-----+------+-----------+-----+--------+----------+----------+----------+----------+---------------------+
//
// A record with a tag has version 2, and any other version 1, in which the tag is 0.
// length is that of the traceparent and the body. The checksum covers all bytes except
// the magic and itself. The first byte of the magic never occurs in valid UTF-8, so
// that no packet contains a record.
const (
	recordHeaderBytes = 36
	recordVersion     = 1
	taggedVersion     = 2
	maxRecordLength   = 1<<30 + packet.MaxTraceparentBytes // the largest MAX_BODY_BYTES
)

var recordMagic = []byte{0xFF, 'R', 'E', 'C'}

type recordKind byte

const (
	// kindPacket is an accepted packet with the next sequence.
	kindPacket recordKind = iota + 1
	// kindCopy is a rewritten packet with its old sequence.
	kindCopy
	// kindAcks is a list of acknowledged sequences; its own sequence is that of the
	// next packet.
	kindAcks
)

// record is one record; its slices alias the buffer that it was read from.
type record struct {
	kind        recordKind
	tag         emitterquota.Tag // of the principal
	sequence    uint64
	accepted    int64 // nanoseconds since 1970
	messages    uint32
	traceparent []byte
	body        []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordBytes returns the size of the record of a packet.
func recordBytes(p *packet.Packet) int64 {
	return int64(recordHeaderBytes + len(packet.StoredTraceparent(p.Traceparent)) + len(p.Body))
}

// appendPacketHead appends the record of a packet without its body, which follows.
func appendPacketHead(dst []byte, p *packet.Packet) []byte {
	traceparent := packet.StoredTraceparent(p.Traceparent)
	start := len(dst)
	dst = appendHeader(dst, record{
		kind: kindPacket, tag: emitterquota.TagOf(p.Principal), sequence: p.Sequence, accepted: p.Accepted.UnixNano(), messages: uint32(p.Messages),
	}, len(traceparent), len(traceparent)+len(p.Body))
	dst = append(dst, traceparent...)
	binary.LittleEndian.PutUint32(dst[start+12:], crc32.Update(checksum(dst[start:]), castagnoli, p.Body))
	return dst
}

func appendRecord(dst []byte, r record) []byte {
	start := len(dst)
	dst = appendHeader(dst, r, len(r.traceparent), len(r.traceparent)+len(r.body))
	dst = append(dst, r.traceparent...)
	dst = append(dst, r.body...)
	return seal(dst, start)
}

func appendHeader(dst []byte, r record, traceparent, length int) []byte {
	version := byte(recordVersion)
	if r.tag != 0 {
		version = taggedVersion
	}
	dst = append(dst, recordMagic...)
	dst = append(dst, version, byte(r.kind), byte(traceparent), byte(r.tag))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(length))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, r.sequence)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.accepted))
	return binary.LittleEndian.AppendUint32(dst, r.messages)
}

// seal sets the checksum of the record dst[start:].
func seal(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start+12:], checksum(dst[start:]))
	return dst
}

func checksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[4:12], castagnoli), castagnoli, record[16:])
}

// recordLength returns the size of the record with a header, or 0 if the header is
// invalid.
func recordLength(header []byte) int64 {
	if len(header) < recordHeaderBytes || !bytes.Equal(header[:4], recordMagic) {
		return 0
	}
	version, kind, traceparent, tag := header[4], recordKind(header[5]), header[6], header[7]
	length := binary.LittleEndian.Uint32(header[8:])
	if version != recordVersion && version != taggedVersion || (version == taggedVersion) != (tag != 0) {
		return 0
	}
	if kind < kindPacket || kind > kindAcks || length > maxRecordLength || uint32(traceparent) > length {
		return 0
	}
	return recordHeaderBytes + int64(length)
}

// parseRecord parses a record of recordLength bytes. It returns false if the checksum
// does not match.
func parseRecord(b []byte) (record, bool) {
	if binary.LittleEndian.Uint32(b[12:]) != checksum(b) {
		return record{}, false
	}
	payload := recordHeaderBytes + int(b[6])
	return record{
		kind:        recordKind(b[5]),
		tag:         emitterquota.Tag(b[7]),
		sequence:    binary.LittleEndian.Uint64(b[16:]),
		accepted:    int64(binary.LittleEndian.Uint64(b[24:])),
		messages:    binary.LittleEndian.Uint32(b[32:]),
		traceparent: b[recordHeaderBytes:payload:payload],
		body:        b[payload:len(b):len(b)],
	}, true
}
