package jetstream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// An envelope is one message of a stream, little endian:
//
//	 0       4     5    6         8       12       16
//	+-------+-----+----+---------+-------+--------+----+---------+---------+…
//	| magic | ver | 0  | id len  | count | CRC32C | id | record  | record  |
//	+-------+-----+----+---------+-------+--------+----+---------+---------+…
//
// The checksum is that of the other bytes of the header and of the id. A record:
//
//	 0        4        8          16      24          25     47
//	+--------+--------+----------+-------+-----------+------+-------------------+
//	| length | CRC32C | accepted | token | trace len | info | traceparent, body |
//	+--------+--------+----------+-------+-----------+------+-------------------+
//
// length is that of what follows the checksum, which covers the length and that. The token
// is 0 unless an emitter waits for the delivery: see awaited. info is packet.AppendInfo.
const (
	envelopeVersion     = 1
	envelopeHeaderBytes = 16
	recordPrefixBytes   = 8
	recordHeaderBytes   = recordPrefixBytes + 17 + packet.StoredInfoBytes
	// maxSlots is the maximum number of packets in one envelope: see sequenceOf.
	maxSlots = 1 << 14
)

var (
	envelopeMagic = []byte{0xFF, 'E', 'N', 'V'}
	castagnoli    = crc32.MakeTable(crc32.Castagnoli)
)

// beginEnvelope appends the header of an envelope of count records.
func beginEnvelope(dst []byte, id string, count int) []byte {
	start := len(dst)
	dst = append(dst, envelopeMagic...)
	dst = append(dst, envelopeVersion, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(id)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(count))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, id...)
	binary.LittleEndian.PutUint32(dst[start+12:], headerChecksum(dst[start:]))
	return dst
}

func headerChecksum(header []byte) uint32 {
	return crc32.Update(crc32.Checksum(header[:12], castagnoli), castagnoli, header[envelopeHeaderBytes:])
}

// recordBytes returns the size of the record of a packet.
func recordBytes(p *packet.Packet) int {
	return recordHeaderBytes + len(packet.StoredTraceparent(p.Traceparent)) + len(p.Body)
}

// appendRecord appends the record of a packet.
func appendRecord(dst []byte, p *packet.Packet, token uint64) []byte {
	start, traceparent := len(dst), packet.StoredTraceparent(p.Traceparent)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(recordBytes(p)-recordPrefixBytes))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Accepted.UnixNano()))
	dst = binary.LittleEndian.AppendUint64(dst, token)
	dst = append(dst, byte(len(traceparent)))
	dst = packet.AppendInfo(dst, p.Info)
	dst = append(dst, traceparent...)
	dst = append(dst, p.Body...)
	binary.LittleEndian.PutUint32(dst[start+4:], recordChecksum(dst[start:]))
	return dst
}

func recordChecksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:4], castagnoli), castagnoli, record[recordPrefixBytes:])
}

// record is one record; its slices alias the message.
type record struct {
	accepted    time.Time
	token       uint64
	info        packet.Info
	traceparent []byte
	body        []byte
	raw         []byte
	damaged     bool // no other field is known
}

// envelope is a decoded message.
type envelope struct {
	id      string
	records []record
}

// versionError reports an envelope of a version that this program cannot read.
type versionError int

func (e versionError) Error() string {
	return fmt.Sprintf("the envelope has version %d: this program reads version %d", int(e), envelopeVersion)
}

// parseEnvelope decodes a message. It marks damaged records. The error is a versionError, or means
// that no part of the message can be read.
func parseEnvelope(message []byte) (envelope, error) {
	if len(message) < envelopeHeaderBytes || !bytes.Equal(message[:4], envelopeMagic) {
		return envelope{}, fmt.Errorf("a message of %d bytes is no envelope", len(message))
	}
	if version := message[4]; version != envelopeVersion {
		return envelope{}, versionError(version)
	}
	end := envelopeHeaderBytes + int(binary.LittleEndian.Uint16(message[6:]))
	count := int(binary.LittleEndian.Uint32(message[8:]))
	if end > len(message) || headerChecksum(message[:end]) != binary.LittleEndian.Uint32(message[12:]) {
		return envelope{}, fmt.Errorf("the header of an envelope of %d bytes is damaged", len(message))
	}
	if count < 1 || count > maxSlots {
		return envelope{}, fmt.Errorf("an envelope has %d records", count)
	}
	e := envelope{id: string(message[envelopeHeaderBytes:end]), records: make([]record, count)}
	rest := message[end:]
	for i := range e.records {
		e.records[i], rest = parseRecord(rest)
	}
	return e, nil
}

// parseRecord decodes the first record of rest, and returns the bytes after it. After a damaged
// length no record can be found.
func parseRecord(rest []byte) (record, []byte) {
	if len(rest) < recordHeaderBytes {
		return record{damaged: true}, nil
	}
	length := int64(binary.LittleEndian.Uint32(rest)) + recordPrefixBytes
	if length < recordHeaderBytes || length > int64(len(rest)) {
		return record{damaged: true}, nil
	}
	raw, rest := rest[:length:length], rest[length:]
	if recordChecksum(raw) != binary.LittleEndian.Uint32(raw[4:]) {
		return record{damaged: true}, rest
	}
	body := recordHeaderBytes + int(raw[24])
	if body > len(raw) {
		return record{damaged: true}, rest
	}
	info, ok := packet.ParseInfo(raw[25:recordHeaderBytes], raw[body:])
	return record{
		accepted: time.Unix(0, int64(binary.LittleEndian.Uint64(raw[8:]))), token: binary.LittleEndian.Uint64(raw[16:]), info: info,
		traceparent: raw[recordHeaderBytes:body], body: raw[body:], raw: raw, damaged: !ok,
	}, rest
}

// isPacket reports whether the body is that of a packet, as what reads packets relies on: others may
// have stored it, with a valid checksum.
func (r *record) isPacket() bool {
	_, err := packet.Recheck(r.body, r.info.Messages)
	return err == nil
}

// packetOf returns a copy of a record as a packet.
func (r *record) packetOf(pool *packet.Pool) *packet.Packet {
	p := pool.New(r.body, r.info)
	p.Accepted = r.accepted
	if len(r.traceparent) > 0 {
		p.Traceparent = packet.StoredTraceparent(string(r.traceparent)) // others may have stored it
	}
	return p
}
