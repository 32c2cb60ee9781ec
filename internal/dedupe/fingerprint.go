package dedupe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"github.com/minio/highwayhash"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// fingerprint identifies a packet by keyed hashes of its ids and of its content.
//
// Among a million packets, both hashes of a packet equal those of another one with a
// probability of 2^-107. The hashes of the ids alone do so with 2^-43, which counts and
// logs a false conflict.
type fingerprint struct {
	ids     uint64 // of (principal, emitter_id, packet_id); the first bit is 0
	content uint64 // of the body; see Packet.Content
}

// tombstone is the bit of ids that marks the record of a forgotten packet.
const tombstone = 1 << 63

// secret is the key of both hashes: with unkeyed hashes an attacker could make packets
// with equal ones.
type secret [highwayhash.Size]byte

func newSecret() (s secret) {
	_, _ = rand.Read(s[:]) // never returns an error
	return s
}

// fingerprint returns the fingerprint of a valid packet with a content, see Packet.Content. It
// ignores white space around the JSON text, such as the end of an NDJSON line.
func (s *secret) fingerprint(principal string, info packet.Info, body []byte, content string) fingerprint {
	// The length of the first id distinguishes pairs with the same concatenation.
	const lengthBytes = 4
	var buffer [256]byte
	text := info.EmitterID.AppendDecoded(buffer[:lengthBytes], body)
	binary.LittleEndian.PutUint32(text, uint32(len(text)-lengthBytes))
	text = info.PacketID.AppendDecoded(text, body)
	if principal != "" {
		text = append(append(text, 0xff), principal...) // a byte that no id contains
	}
	f := fingerprint{ids: highwayhash.Sum64(text, s[:]) &^ tombstone}
	if content != "" {
		body = append(text[:0], content...)
	}
	f.content = highwayhash.Sum64(bytes.TrimSpace(body), s[:])
	return f
}
