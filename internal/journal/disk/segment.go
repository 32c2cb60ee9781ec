package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment is a file of records after this header, little endian:
//
//	 0       4         6          8          16         24         32       36         40
//	+-------+---------+----------+----------+----------+----------+--------+----------+
//	| magic | version | reserved | number   | first    | created  | CRC32C | reserved |
//	+-------+---------+----------+----------+----------+----------+--------+----------+
//
// first is the sequence of the next packet: packets of earlier segments with that
// sequence or a later one are invalid, as their commit failed. The checksum covers the
// bytes before it. A damaged header loses no packet.
const (
	segmentHeaderBytes = 40
	segmentVersion     = 1
	segmentSuffix      = ".segment"
)

const (
	maxSegmentNumber = 1<<62 - 1
	// maxSegmentDataBytes is above the size of any segment, which is maxSegmentBytes or
	// one commit of a larger request: records of 1 GiB can become packets of several.
	maxSegmentDataBytes = 64 << 30
)

var segmentMagic = []byte{0xFF, 'S', 'E', 'G'}

// segment is a file of the journal. Its fields are guarded by Journal.mu.
type segment struct {
	number    uint64
	path      string
	bytes     int64 // written, including the header
	unacked   int64 // packets in it that are not acknowledged
	size      int64 // file size at the start; above bytes if a crash left unused blocks
	badHeader bool
	unread    bool // had a read error; it is quarantined, not removed
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, segmentSuffix))
}

// segmentNumber returns the number in a segment's file name.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && number >= 1 && number <= maxSegmentNumber && filepath.Base(segmentPath("", number)) == name
}

// Foreign is a file with a segment's suffix that is not a segment of the journal.
type Foreign struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// foreignError is the reason why a file is not a segment.
type foreignError struct{ reason string }

func (e *foreignError) Error() string { return e.reason }

type segmentHeader struct {
	number  uint64
	first   uint64
	created int64 // nanoseconds since 1970
}

func (h segmentHeader) encode() []byte {
	b := append(make([]byte, 0, segmentHeaderBytes), segmentMagic...)
	b = binary.LittleEndian.AppendUint16(b, segmentVersion)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, h.number)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.created))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return binary.LittleEndian.AppendUint32(b, 0)
}

var errHeaderDamaged = errors.New("the header of the segment is damaged")

// parseSegmentHeader parses a header. It returns a *VersionError for a valid header of
// another version, whose segment must not be quarantined.
func parseSegmentHeader(b []byte) (segmentHeader, error) {
	if len(b) < segmentHeaderBytes || string(b[:4]) != string(segmentMagic) ||
		binary.LittleEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		return segmentHeader{}, errHeaderDamaged
	}
	if version := binary.LittleEndian.Uint16(b[4:]); version != segmentVersion {
		return segmentHeader{}, &VersionError{Version: int(version)}
	}
	return segmentHeader{
		number:  binary.LittleEndian.Uint64(b[8:]),
		first:   binary.LittleEndian.Uint64(b[16:]),
		created: int64(binary.LittleEndian.Uint64(b[24:])),
	}, nil
}

// VersionError reports a journal format that this version does not support.
type VersionError struct {
	Path    string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has journal format version %d, and this program supports version %d: use the program that wrote it",
		e.Path, e.Version, segmentVersion)
}
