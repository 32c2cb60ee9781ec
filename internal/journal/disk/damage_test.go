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

// Every byte of the log is changed, in several ways. At most one packet may go,
// and the damage must name it.
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
	var told []int
	for _, d := range r.damages {
		if d.Packets > 0 {
			for sequence := d.First; sequence <= d.Last; sequence++ {
				told = append(told, int(sequence))
			}
		}
	}
	if len(lost) > 1 || !slices.Equal(lost, told) {
		t.Fatalf("%s, byte %d changed: lost %v, told %v: %+v", path, at, lost, told, r.damages)
	}
	if extra := len(got) + len(lost) - len(wholeLog); extra > 0 && !slices.Contains(got, 1) {
		t.Fatalf("%s, byte %d changed: packets from nowhere: %v", path, at, got)
	}
}

// The last segment is cut off at every byte, and from every byte on never
// reached the disk. All packets before that must be there.
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
			t.Fatalf("cut off at %d: an unfinished end is told as loss: %+v", at, r.damages)
		}
		zeroed := append(slices.Clone(content[:at]), make([]byte, 4096)...)
		torn, r := replayed(t, with(segments, path, zeroed))
		same(t, "zeros from there on", torn, want)
		if report := r.report(); report.LostPackets() > 0 && content[at-1] != '}' {
			t.Fatalf("torn at %d: an unfinished end is told as loss: %+v", at, r.damages)
		}
	}
}

// A segment in the middle is cut off at every byte. The packets behind that
// are lost, and each must be named.
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
		told := r.report().LostPackets()
		if at < int(ends[5]) && told == lost+1 && !slices.Contains(got, 1) {
			told-- // the acknowledgement of packet 1 was cut off as well
		}
		if told != lost {
			t.Fatalf("cut off at %d: %d packets lost, %d told: %+v", at, lost, told, r.damages)
		}
	}
}

func TestMissingSegment(t *testing.T) {
	segments := smallLog(t)
	delete(segments, slices.Min(slices.Collect(maps.Keys(segments))))
	got, _ := replayed(t, segments)
	same(t, "without the first segment", got, []int{6, 7, 8, 9})
}

// The journal itself opens, tells, keeps the damaged bytes, and goes on.
func TestOpenSetsDamageAside(t *testing.T) {
	segments := smallLog(t)
	path := slices.Min(slices.Collect(maps.Keys(segments)))
	damaged := slices.Clone(segments[path])
	damaged[ends(t, damaged)[3]-20] ^= 0x10
	f := fixtureWith(with(segments, path, damaged))
	for start := range 2 {
		j := f.open(t)
		same(t, "what is left", idsOf(t, claimAll(t, j)), []int{1, 3, 4, 5, 6, 7, 8})
		f.put(t, j, 100+start)
		j.Ack(claimAll(t, j))
		if got, want := j.Status().Quarantined.Packets, int64(1-start); got != want {
			t.Errorf("start %d: %d packets set aside, want %d", start, got, want)
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

func TestUnfinishedEndIsCutOff(t *testing.T) {
	segments := smallLog(t)
	path := slices.Max(slices.Collect(maps.Keys(segments)))
	end := ends(t, segments[path])[8]
	torn := append(slices.Clone(segments[path][:end+100]), make([]byte, 4096)...)
	f := fixtureWith(with(segments, path, torn))
	j := f.open(t)
	same(t, "what is left", idsOf(t, claimAll(t, j)), []int{1, 2, 3, 4, 5, 6, 7})
	j.Close()
	if got := len(f.disk.files[path].now); got != int(end) {
		t.Errorf("the segment has %d bytes, want %d", got, end)
	}
	if f.log.count("level=WARN") != 1 || f.log.count("level=ERROR") != 0 || len(f.disk.files) != 3 {
		t.Errorf("an unfinished end is told as: %s", f.log.String())
	}
}

// A record that goes bad after the start is found when it is read back: it is
// told, the rest is delivered, and the books add up.
func TestDamageFoundWhenReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.memory = 1 // nothing stays in memory
		j := f.open(t)
		f.disk.fail("read", errors.New("bus reset"))
		f.put(t, j, upTo(20)...)
		synctest.Wait() // the keeper has failed to read it and will try again
		f.disk.change(segmentPath("/data/journal", 1), func(content []byte) {
			content[ends(t, content[:usedBytes(content)])[5]-9] ^= 1
		})
		f.disk.fail("", nil)
		got := claimAll(t, j)
		want := slices.Delete(upTo(20), 4, 5) // sequences begin with 1
		same(t, "what is left", idsOf(t, got), want)
		j.Ack(got)
		stats := j.Stats()
		if stats.Accepted != stats.Acknowledged || stats.Accepted.Packets != 20 {
			t.Errorf("books: %+v", stats)
		}
		if got := j.Status().Quarantined.Packets; got != 1 {
			t.Errorf("%d packets set aside, want 1", got)
		}
		synctest.Wait() // the rest is handed out before the loss is told
		if f.log.count("first_sequence=5 last_sequence=5") != 1 {
			t.Errorf("the log does not name the packet: %s", f.log.String())
		}
		f.put(t, j, 50)
		j.Ack(claimAll(t, j))
		j.Close()
	})
}

// A segment that cannot be read at all costs what is in it, and is kept.
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
		got := claimAll(t, j)
		same(t, "what is left", idsOf(t, got), []int{20})
		j.Ack(got)
		if got := j.Status().Quarantined.Packets; got != 20 {
			t.Errorf("%d packets set aside, want 20", got)
		}
		for id := range 400 { // several segments
			f.put(t, j, 100+id)
			j.Ack(claimAll(t, j))
		}
		synctest.Wait()
		j.Close()
		if f.disk.files["/data/quarantine/0000000000000001.segment"] == nil {
			t.Error("the segment was not kept")
		}
	})
}

// A segment whose creation was cut short is no damage, now or later.
func TestBlankSegment(t *testing.T) {
	segments := smallLog(t)
	segments[segmentPath("/data/journal", 3)] = make([]byte, 4096)
	f := fixtureWith(segments)
	for range 2 {
		j := f.open(t)
		same(t, "what is left", idsOf(t, claimAll(t, j)), []int{1, 2, 3, 4, 5, 6, 7, 8})
		j.Close()
	}
	if f.log.count("level=WARN") > 0 {
		t.Errorf("a blank segment is told as damage: %s", f.log.String())
	}
}
