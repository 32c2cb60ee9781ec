package disk

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func resealHeader(header []byte) {
	binary.LittleEndian.PutUint32(header[32:], crc32.Checksum(header[:32], castagnoli))
}

var wholeLog = []int{2, 3, 4, 5, 6, 7, 8, 9} // sequences; 1 is acknowledged

func TestUndamagedLog(t *testing.T) {
	got, r := replayed(t, smallLog(t))
	same(t, "the whole log", got, wholeLog)
	if len(r.damages) > 0 {
		t.Errorf("damages: %+v", r.damages)
	}
}

// A changed byte loses at most one packet, which the damage names: each byte of the log is
// changed in several ways.
func TestFlippedByte(t *testing.T) {
	segments := smallLog(t)
	for path, content := range segments {
		for at := range content {
			for _, flip := range []byte{0x01, 0x80, 0xFF} {
				damaged := slices.Clone(content)
				damaged[at] ^= flip
				got, r := replayed(t, with(segments, path, damaged))
				checkLoss(t, path, at, got, r)
			}
		}
	}
}

func checkLoss(t *testing.T, path string, at int, got []int, r *replay) {
	t.Helper()
	var lost []int
	for _, sequence := range wholeLog {
		if !slices.Contains(got, sequence) {
			lost = append(lost, sequence)
		}
	}
	var reported []int
	for _, d := range r.damages {
		if d.Packets > 0 {
			for sequence := d.First; sequence <= d.Last; sequence++ {
				reported = append(reported, int(sequence))
			}
		}
	}
	if len(lost) > 1 || !slices.Equal(lost, reported) {
		t.Fatalf("%s, byte %d changed: lost %v, reported %v: %+v", path, at, lost, reported, r.damages)
	}
	if extra := len(got) + len(lost) - len(wholeLog); extra > 0 && !slices.Contains(got, 1) {
		t.Fatalf("%s, byte %d changed: packets from nowhere: %v", path, at, got)
	}
}

// Packets before the end of a truncated or incompletely written last segment survive, for
// each position of the end.
func TestTornTail(t *testing.T) {
	segments := smallLog(t)
	path := slices.Max(slices.Collect(maps.Keys(segments)))
	content := segments[path]
	ends := ends(t, content)
	for at := range content {
		var want []int
		for _, sequence := range wholeLog {
			if end, here := ends[sequence]; !here || end <= int64(at) {
				want = append(want, sequence)
			}
		}
		cut, r := replayed(t, with(segments, path, content[:at]))
		same(t, "cut off", cut, want)
		if report := r.report(); report.LostPackets() > 0 && content[at-1] != '}' {
			t.Fatalf("cut off at %d: an unfinished end is reported as loss: %+v", at, r.damages)
		}
		zeroed := append(slices.Clone(content[:at]), make([]byte, 4096)...)
		torn, r := replayed(t, with(segments, path, zeroed))
		same(t, "zeros from there on", torn, want)
		if report := r.report(); report.LostPackets() > 0 && content[at-1] != '}' {
			t.Fatalf("torn at %d: an unfinished end is reported as loss: %+v", at, r.damages)
		}
	}
}

// The damage names each packet after the end of a truncated segment in the middle.
func TestTruncatedSegment(t *testing.T) {
	segments := smallLog(t)
	path := slices.Min(slices.Collect(maps.Keys(segments)))
	content := segments[path]
	ends := ends(t, content)
	for at := range content {
		got, r := replayed(t, with(segments, path, content[:at]))
		var lost int64
		for _, sequence := range wholeLog {
			if end, here := ends[sequence]; here && end > int64(at) {
				lost++
			}
		}
		reported := r.report().LostPackets()
		if at < int(ends[5]) && reported == lost+1 && !slices.Contains(got, 1) {
			reported-- // the acknowledgement of packet 1 was cut off as well
		}
		if reported != lost {
			t.Fatalf("cut off at %d: %d packets lost, %d reported: %+v", at, lost, reported, r.damages)
		}
	}
}

func TestMissingSegment(t *testing.T) {
	segments := smallLog(t)
	delete(segments, slices.Min(slices.Collect(maps.Keys(segments))))
	got, _ := replayed(t, segments)
	same(t, "without the first segment", got, []int{6, 7, 8, 9})
}

// Damage is logged at each start and quarantined once, at the latest when it is read back,
// and the journal works.
func TestOpenQuarantinesDamage(t *testing.T) {
	t.Run("sealed", func(t *testing.T) { quarantinesDamage(t, smallLog(t)) })
	t.Run("unsealed", func(t *testing.T) { quarantinesDamage(t, unsealed(t, smallLog(t))) })
}

func quarantinesDamage(t *testing.T, segments map[string][]byte) {
	path := slices.Min(slices.Collect(maps.Keys(segments)))
	damaged := slices.Clone(segments[path])
	damaged[ends(t, damaged)[3]-20] ^= 0x10
	f := fixtureWith(with(segments, path, damaged))
	for start := range 2 {
		j := f.open(t)
		same(t, "what is left", idsOf(t, fetchAll(t, j)), []int{1, 3, 4, 5, 6, 7, 8})
		f.put(t, j, 100+start)
		j.Ack(fetchAll(t, j))
		if got, want := j.Status().Quarantined.Packets, int64(1-start); got != want {
			t.Errorf("start %d: %d packets quarantined, want %d", start, got, want)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if f.log.count("first_sequence=3 last_sequence=3") == 0 {
		t.Errorf("the log does not name packet 3: %s", f.log.String())
	}
	var kept []string
	for path, file := range f.disk.files {
		if strings.HasPrefix(path, "/data/quarantine/") {
			kept = append(kept, path)
			if !strings.Contains(string(file.now), `"packet_id":"2"`) {
				t.Errorf("%s does not hold the damaged packet", path)
			}
		}
	}
	if len(kept) != 1 {
		t.Errorf("quarantine holds %v", kept)
	}
}

func TestIncompleteWriteIsTruncated(t *testing.T) {
	segments := smallLog(t)
	path := slices.Max(slices.Collect(maps.Keys(segments)))
	end := ends(t, segments[path])[8]
	torn := append(slices.Clone(segments[path][:end+100]), make([]byte, 4096)...)
	f := fixtureWith(with(segments, path, torn))
	j := f.open(t)
	same(t, "what is left", idsOf(t, fetchAll(t, j)), []int{1, 2, 3, 4, 5, 6, 7})
	j.Close()
	if got := len(f.disk.files[path].now); got != int(end) {
		t.Errorf("the segment has %d bytes, want %d", got, end)
	}
	if f.log.count("level=WARN") != 1 || f.log.count("level=ERROR") != 0 || len(f.disk.files) != 3 {
		t.Errorf("an unfinished end is reported as: %s", f.log.String())
	}
}

// A record that is damaged after the start is reported when it is read back; the other packets are
// delivered, and the statistics are consistent.
func TestDamageFoundWhenReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.memory = 1 // no packet stays in memory
		j := f.open(t)
		f.disk.fail("read", errors.New("bus reset"))
		f.put(t, j, upTo(20)...)
		synctest.Wait() // the compactor has failed to read it and will retry
		f.disk.change(segmentPath("/data/journal", 1), func(content []byte) {
			content[ends(t, content[:usedBytes(content)])[5]-9] ^= 1
		})
		f.disk.fail("", nil)
		got := fetchAll(t, j)
		want := slices.Delete(upTo(20), 4, 5) // sequences begin with 1
		same(t, "what is left", idsOf(t, got), want)
		j.Ack(got)
		stats := j.Stats()
		if stats.Accepted != stats.Acknowledged || stats.Accepted.Packets != 20 {
			t.Errorf("stats: %+v", stats)
		}
		if got := j.Status().Quarantined.Packets; got != 1 {
			t.Errorf("%d packets quarantined, want 1", got)
		}
		synctest.Wait() // the other packets are queued before the loss is logged
		if f.log.count("first_sequence=5 last_sequence=5") != 1 {
			t.Errorf("the log does not name the packet: %s", f.log.String())
		}
		f.put(t, j, 50)
		j.Ack(fetchAll(t, j))
		j.Close()
	})
}

// An unreadable segment loses its packets and is not removed.
func TestUnreadableSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.memory = 1
		j := f.open(t)
		f.disk.fail("read", errors.New("a bad sector"))
		f.put(t, j, upTo(20)...)
		time.Sleep(time.Minute)
		f.disk.fail("", nil)
		f.put(t, j, 20)
		got := fetchAll(t, j)
		same(t, "what is left", idsOf(t, got), []int{20})
		j.Ack(got)
		if got := j.Status().Quarantined.Packets; got != 20 {
			t.Errorf("%d packets quarantined, want 20", got)
		}
		for id := range 400 { // several segments
			f.put(t, j, 100+id)
			j.Ack(fetchAll(t, j))
		}
		synctest.Wait()
		j.Close()
		if f.disk.files["/data/quarantine/0000000000000001.segment"] == nil {
			t.Error("the segment was not kept")
		}
	})
}

// A crash during the creation of a segment is no damage.
func TestBlankSegment(t *testing.T) {
	segments := smallLog(t)
	segments[segmentPath("/data/journal", 3)] = make([]byte, 4096)
	f := fixtureWith(segments)
	for range 2 {
		j := f.open(t)
		same(t, "what is left", idsOf(t, fetchAll(t, j)), []int{1, 2, 3, 4, 5, 6, 7, 8})
		j.Close()
	}
	if f.log.count("level=WARN") > 0 {
		t.Errorf("a blank segment is reported as damage: %s", f.log.String())
	}
}
