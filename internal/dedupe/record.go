package dedupe

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/minio/highwayhash"
)

// record is the encoded fingerprint of a packet: the hash of its ids, whose first bit is
// the tombstone, and the hash of its content. The first record of a file is a header: the
// name of the format and its keyed hash, which identifies the key.
type record [8 + 8]byte

const (
	recordSize = len(record{})
	formatName = "lsdedup2"
)

func recordOf(f fingerprint) (r record) {
	binary.BigEndian.PutUint64(r[:], f.ids)
	binary.BigEndian.PutUint64(r[8:], f.content)
	return r
}

func (s *secret) header() (r record) {
	copy(r[:], formatName)
	binary.BigEndian.PutUint64(r[len(formatName):], highwayhash.Sum64([]byte(formatName), s[:]))
	return r
}

// tombstone returns the record that removes this one.
func (r record) tombstone() record {
	binary.BigEndian.PutUint64(r[:], binary.BigEndian.Uint64(r[:])|tombstone)
	return r
}

// fingerprint decodes the record.
func (r record) fingerprint() (f fingerprint, forgotten bool) {
	ids := binary.BigEndian.Uint64(r[:])
	return fingerprint{ids &^ tombstone, binary.BigEndian.Uint64(r[8:])}, ids&tombstone != 0
}

// records returns the part of a file's content after the header, or nothing if the header
// is incomplete.
func (r record) records(content []byte) ([]byte, error) {
	switch {
	case len(content) < recordSize && bytes.HasPrefix(r[:], content):
		return nil, nil
	case bytes.HasPrefix(content, r[:]):
		return content[recordSize:], nil
	case bytes.HasPrefix(content, []byte(formatName)):
		return nil, errors.New("it was written with another key")
	default:
		return nil, errors.New("it has another format, such as that of an earlier version with ids only")
	}
}
