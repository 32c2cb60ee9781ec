package disk

import (
	"slices"
	"testing"
)

// FuzzReplay reads arbitrary bytes as the first of two segments. Replay must neither panic nor
// hang, and must find the whole second segment.
func FuzzReplay(f *testing.F) {
	whole := segmentHeader{number: 1, first: 1}.encode()
	whole = appendRecord(whole, record{kind: kindPacket, sequence: 1, messages: 1, body: []byte(`{"a":1}`)})
	whole = appendAcks(whole, []sequenceRange{{1, 1}}, 2)
	f.Add(whole)
	f.Add(whole[:50])
	f.Add(slices.Concat(whole, recordMagic, make([]byte, 100)))
	second := segmentHeader{number: 2, first: 1000}.encode()
	second = appendRecord(second, record{kind: kindPacket, sequence: 1000, messages: 1, body: []byte(`{"b":1}`)})
	f.Fuzz(func(t *testing.T, content []byte) {
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
