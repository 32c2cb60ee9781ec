package dedupe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"github.com/minio/highwayhash"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// idsHash is 127 bits of HighwayHash over an (emitter_id, packet_id) pair; the
// first bit is 0.
type idsHash [16]byte

// forgottenBit marks the record of a packet that is forgotten.
const forgottenBit = 0x80

// fingerprint stands for a packet: its ids and its content.
type fingerprint struct {
	ids idsHash
	// content is a keyed hash of the body. It is compared only under equal ids,
	// and nobody outside knows the key, so that 64 bits are enough: whoever wants
	// a packet to be taken for another one has one chance in 2^64 a packet.
	content uint64
}

// secret is the key of both hashes. Without one, packets could be made whose
// hashes are equal.
type secret [highwayhash.Size]byte

func newSecret() (s secret) {
	_, _ = rand.Read(s[:]) // never fails, and would end the process
	return s
}

// fingerprint of a packet that packet.Check accepted. White space around the
// JSON text does not count: the end of an NDJSON line is not part of the packet.
func (s *secret) fingerprint(info packet.Info, body []byte) fingerprint {
	// The length of the first id keeps pairs apart that only join to the same text.
	const lengthBytes = 4
	var buffer [256]byte
	text := info.EmitterID.AppendDecoded(buffer[:lengthBytes], body)
	binary.LittleEndian.PutUint32(text, uint32(len(text)-lengthBytes))
	text = info.PacketID.AppendDecoded(text, body)
	f := fingerprint{ids: highwayhash.Sum128(text, s[:]), content: highwayhash.Sum64(bytes.TrimSpace(body), s[:])}
	f.ids[0] &^= forgottenBit
	return f
}
