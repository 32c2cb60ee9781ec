package disk

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
)

// smallLog returns two segments with 9 packets in 3 commits, one packet acknowledged.
func smallLog(t *testing.T) map[string][]byte {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, 0, 1, 2)
	j.Ack(journaltest.Fetch(j, nil, 1))
	f.put(t, j, 3, 4)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = f.open(t)
	f.put(t, j, 5, 6, 7, 8)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	segments := map[string][]byte{}
	for path, file := range f.disk.files {
		segments[path] = file.now
	}
	if len(segments) != 2 {
		t.Fatalf("the log has %d segments, want 2", len(segments))
	}
	return segments
}

// replayed replays a log and returns the ids of the unacknowledged packets.
func replayed(t *testing.T, segments map[string][]byte) ([]int, *replay) {
	t.Helper()
	f := fixtureWith(segments)
	r := &replay{files: f.disk.process(), dir: "/data/journal"}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	var sequences []int
	_, err := r.undelivered(func(found record) error {
		sequences = append(sequences, int(found.sequence))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sequences)
	return sequences, r
}

func fixtureWith(segments map[string][]byte) *fixture {
	f := newFixture()
	for path, content := range segments {
		content = slices.Clone(content)
		f.disk.files[path] = &crashFile{path: path, now: content, synced: slices.Clone(content)}
	}
	return f
}

func with(segments map[string][]byte, path string, content []byte) map[string][]byte {
	changed := maps.Clone(segments)
	changed[path] = content
	return changed
}

// ends returns the end offsets of the packet records in a segment, by sequence.
func ends(t *testing.T, content []byte) map[int]int64 {
	found := map[int]int64{}
	for offset := int64(segmentHeaderBytes); offset < int64(len(content)); {
		size := recordLength(content[offset:])
		r, ok := parseRecord(content[offset : offset+size])
		if !ok {
			t.Fatal("the log of the test is damaged")
		}
		offset += size
		if r.kind == kindPacket {
			found[int(r.sequence)] = offset
		}
	}
	return found
}

func usedBytes(content []byte) int {
	return len(strings.TrimRight(string(content), "\x00"))
}
