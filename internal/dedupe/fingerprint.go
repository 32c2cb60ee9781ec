package dedupe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"github.com/minio/highwayhash"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// fingerprint stands for a packet: keyed hashes of its ids and of its content.
//
// Nobody outside knows the key, and a packet is taken for another one only when
// both hashes agree: among a million packets with a probability of 2^-107. That
// other ids have the same hash, which is a conflict that is none, has one of
// 2^-43, and costs a count and a line in the log.
type fingerprint struct {
	ids     uint64 // of (principal, emitter_id, packet_id); the first bit is 0
	content uint64 // of the body
}

// tombstone marks the record of a packet that is forgotten.
const tombstone = 1 << 63

// secret is the key of both hashes. Without one, packets could be made whose
// hashes are equal.
type secret [highwayhash.Size]byte

func newSecret() (s secret) {
	_, _ = rand.Read(s[:]) // never fails, and would end the process
	return s
}

// fingerprint of a packet that packet.Check accepted. White space around the
// JSON text does not count: the end of an NDJSON line is not part of the packet.
func (s *secret) fingerprint(principal string, info packet.Info, body []byte) fingerprint {
	// The length of the first id keeps pairs apart that only join to the same text.
	const lengthBytes = 4
	var buffer [256]byte
	text := info.EmitterID.AppendDecoded(buffer[:lengthBytes], body)
	binary.LittleEndian.PutUint32(text, uint32(len(text)-lengthBytes))
	text = info.PacketID.AppendDecoded(text, body)
	if principal != "" {
		text = append(append(text, 0xff), principal...) // a byte that no id contains
	}
	return fingerprint{
		ids:     highwayhash.Sum64(text, s[:]) &^ tombstone,
		content: highwayhash.Sum64(bytes.TrimSpace(body), s[:]),
	}
}
