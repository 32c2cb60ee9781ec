package dedupe

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/minio/highwayhash"
)

// record is a packet in a file: the hash of its ids, whose first bit tells that it
// is forgotten, and the hash of its content. Each file begins with one that is a
// header: the name of the format, and a hash of that which shows the key.
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

// forgotten returns the record that takes this one back.
func (r record) tombstone() record {
	binary.BigEndian.PutUint64(r[:], binary.BigEndian.Uint64(r[:])|tombstone)
	return r
}

// fingerprint reads a record.
func (r record) fingerprint() (f fingerprint, forgotten bool) {
	ids := binary.BigEndian.Uint64(r[:])
	return fingerprint{ids &^ tombstone, binary.BigEndian.Uint64(r[8:])}, ids&tombstone != 0
}

// records returns what follows the header in a file's content. A file that was cut
// within the header has nothing.
func (r record) records(content []byte) ([]byte, error) {
	switch {
	case len(content) < recordSize && bytes.HasPrefix(r[:], content):
		return nil, nil
	case bytes.HasPrefix(content, r[:]):
		return content[recordSize:], nil
	case bytes.HasPrefix(content, []byte(formatName)):
		return nil, errors.New("it was written with another key")
	default:
		return nil, errors.New("it is of an earlier version, which knew ids alone, or of something else")
	}
}
