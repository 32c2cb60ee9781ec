package disk

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"
)

// withChecksums returns the content of a segment with valid checksums of its header and of the records
// that follow it without a gap.
func withChecksums(content []byte) []byte {
	content = slices.Clone(content)
	if len(content) < segmentHeaderBytes {
		return content
	}
	binary.LittleEndian.PutUint32(content[32:], crc32.Checksum(content[:32], castagnoli))
	for rest := content[segmentHeaderBytes:]; ; {
		length := recordLength(rest)
		if length == 0 || length > int64(len(rest)) {
			return content
		}
		seal(rest[:length], 0)
		rest = rest[length:]
	}
}

// FuzzReplay reads arbitrary bytes as the first of two segments, as they are or with valid checksums.
// Replay must neither panic nor hang, and must find the whole second segment.
func FuzzReplay(f *testing.F) {
	whole := segmentHeader{number: 1, first: 1}.encode()
	whole = appendRecord(whole, record{kind: kindPacket, sequence: 1, messages: 1, body: []byte(`{"a":1}`)})
	whole = appendAcks(whole, []sequenceRange{{1, 1}}, 2)
	f.Add(whole, false)
	f.Add(whole[:50], true)
	f.Add(slices.Concat(whole, recordMagic, make([]byte, 100)), true)
	f.Add(sealedSegment(1, 1, 3), true)
	second := segmentHeader{number: 2, first: 1000}.encode()
	second = appendRecord(second, record{kind: kindPacket, sequence: 1000, messages: 1, body: []byte(`{"b":1}`)})
	f.Fuzz(func(t *testing.T, content []byte, sealed bool) {
		if sealed {
			content = withChecksums(content)
		}
		files := fixtureWith(map[string][]byte{
			segmentPath("/data/journal", 1): content,
			segmentPath("/data/journal", 2): second,
		})
		for _, footers := range []bool{false, true} {
			r := &replay{files: files.disk.process(), dir: "/data/journal", footers: footers}
			if err := r.run(); err != nil {
				return // an unknown version
			}
			if b := r.index.find(1000); b == nil || b.unackedCount == 0 {
				t.Errorf("the whole segment was not found: %+v", r.damages)
			}
		}
	})
}
