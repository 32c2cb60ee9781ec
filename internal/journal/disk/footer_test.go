package disk

import (
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// recovered is the state that a start reads from the segments.
type recovered struct {
	Next    uint64
	Unacked map[uint64]string // segments by sequence
	Volume  packet.Volume
	Records int64
	Used    []int64 // by segment
	Left    []int64 // unacknowledged packets by segment
}

// recoverFrom replays the segments, by their footers or by their records.
func recoverFrom(t journaltest.T, files fileSystem, footers bool) (recovered, *replay) {
	t.Helper()
	r := &replay{files: files, dir: "/data/journal", footers: footers}
	if err := r.run(); err != nil {
		t.Fatalf("replay: %v", err)
	}
	found := recovered{Next: r.next, Unacked: map[uint64]string{}}
	for b := range r.index.each {
		found.Volume = found.Volume.Plus(b.volume)
		found.Records += b.records
		b.eachUnacked(func(sequence uint64) { found.Unacked[sequence] = b.segment.path })
	}
	for _, s := range r.segments {
		found.Used = append(found.Used, s.bytes)
		found.Left = append(found.Left, s.unacked)
	}
	return found, r
}

// compareBooks checks that the footers say what the records say.
func compareBooks(t journaltest.T, files fileSystem) {
	t.Helper()
	byFooters, _ := recoverFrom(t, files, true)
	byRecords, r := recoverFrom(t, files, false)
	if len(r.damages) > 0 { // such as acknowledgements that a footer still has
		for sequence := range byFooters.Unacked {
			if byRecords.Unacked[sequence] == "" {
				t.Fatalf("the footers have packet %d, which has no record", sequence)
			}
		}
		return
	}
	if !reflect.DeepEqual(byFooters, byRecords) {
		t.Fatalf("the footers say %+v, the records say %+v", byFooters, byRecords)
	}
}

// footerAt returns the offset of the footer of a segment.
func footerAt(t journaltest.T, content []byte) int {
	t.Helper()
	at := len(content) - int(binary.LittleEndian.Uint32(content[len(content)-footerSizeBytes:]))
	if r, ok := parseRecord(content[at:]); !ok || r.kind != kindAcks || string(r.body[:len(footerMark)]) != footerMark {
		t.Fatalf("the segment has no footer: its end is %q", content[max(0, len(content)-100):])
	}
	return at
}

// unsealed returns a log without its footers, as after a crash.
func unsealed(t journaltest.T, segments map[string][]byte) map[string][]byte {
	cut := maps.Clone(segments)
	for path, content := range cut {
		cut[path] = content[:footerAt(t, content)]
	}
	return cut
}

// A start reads nothing between the header and the footer.
func TestStartReadsFooters(t *testing.T) {
	segments := smallLog(t)
	want, _ := recoverFrom(t, fixtureWith(segments).disk.process(), false)
	for path, content := range segments {
		hidden := slices.Clone(content)
		clear(hidden[segmentHeaderBytes:footerAt(t, content)])
		segments[path] = hidden
	}
	files := fixtureWith(segments).disk.process()
	r := &replay{files: files, dir: "/data/journal", footers: true}
	names, _ := files.List(r.dir)
	firsts, err := r.findSegments(names)
	for i, s := range r.segments {
		if err := r.readSegment(s, firsts[i:]); err != nil {
			t.Fatal(err)
		}
	}
	unacked := int64(0)
	for b := range r.index.each {
		unacked += int64(b.unackedCount)
	}
	if err != nil || r.next != want.Next || unacked != want.Volume.Packets || len(r.damages) > 0 {
		t.Errorf("%d packets until %d, damages %+v, %v; want %+v", unacked, r.next, r.damages, err, want)
	}
}

// Damage that a start does not see is quarantined when it is read back, as the start would:
// only the damaged part, and once.
func TestDamageBehindFooter(t *testing.T) {
	path := segmentPath("/data/journal", 1)
	invalid := func(record []byte) { record[recordHeaderBytes] = '['; seal(record, 0) }
	flipped := func(record []byte) { record[recordHeaderBytes] ^= 1 }
	for _, damage := range []func(record []byte){invalid, flipped} {
		synctest.Test(t, func(t *testing.T) {
			segments := smallLog(t)
			at := ends(t, segments[path])
			damage(segments[path][at[2]:at[3]])
			f := fixtureWith(segments)
			j := f.open(t)
			got := fetchAll(t, j)
			same(t, "what is left", idsOf(t, got), []int{1, 3, 4, 5, 6, 7, 8})
			j.Ack(got)
			synctest.Wait()
			if stats := j.Stats(); stats.Accepted != stats.Acknowledged || stats.Damaged.Packets != 1 || j.Status().Quarantined.Packets != 1 {
				t.Errorf("stats: %+v", stats)
			}
			if part := f.disk.files[fmt.Sprintf("/data/quarantine/0000000000000001-%d.damaged", at[2])]; part == nil || int64(len(part.now)) != at[3]-at[2] {
				t.Errorf("the record is not in the quarantine: %v", slices.Collect(maps.Keys(f.disk.files)))
			}
			if f.disk.files[path] != nil || f.disk.files["/data/quarantine/0000000000000001.segment"] != nil {
				t.Error("the segment is kept")
			}
			if f.log.count("cannot be read back and are quarantined") != 1 || f.log.count(fmt.Sprintf("offset=%d ", at[2])) != 1 {
				t.Errorf("the damage was not found when it was read: %s", f.log.String())
			}
			j.Close()
		})
	}
}

// A footer that is cut, torn or changed at any byte is not used, and loses nothing.
func TestDamagedFooter(t *testing.T) {
	segments := smallLog(t)
	want, _ := recoverFrom(t, fixtureWith(unsealed(t, segments)).disk.process(), false)
	for path, content := range segments {
		for at := footerAt(t, content); at < len(content); at++ {
			torn := slices.Clone(content)
			clear(torn[at:])
			holed := slices.Clone(content)
			clear(holed[footerAt(t, content):at])
			flipped := slices.Clone(content)
			flipped[at] ^= 1 << (at % 8)
			for what, damaged := range map[string][]byte{"cut": content[:at], "torn": torn, "without its start": holed, "flipped": flipped} {
				got, r := recoverFrom(t, fixtureWith(with(segments, path, damaged)).disk.process(), true)
				if !reflect.DeepEqual(got.Unacked, want.Unacked) || got.Volume != want.Volume || got.Records != want.Records || got.Next < want.Next {
					t.Fatalf("%s: a footer that is %s at %d: got %+v, want %+v: %+v", path, what, at, got, want, r.damages)
				}
			}
		}
	}
}

// The footer of another segment, or of another state of the log, is not used.
func TestFooterThatDoesNotFit(t *testing.T) {
	f := footer{}
	f.reset(7, 100)
	p := &packet.Packet{Body: []byte(`{"a":1}`), Info: packet.Info{Messages: 1}, Accepted: time.Unix(1, 0)}
	f.addPacket(p, recordHeaderBytes+7)
	text := f.record()
	r, ok := parseRecord(text)
	at := int64(segmentHeaderBytes + recordHeaderBytes + 7)
	if entries, next := parseFooter(r, 7, 100, at); !ok || len(entries) != 1 || next != 101 {
		t.Fatalf("the footer has %+v until %d", entries, next)
	}
	for _, c := range []struct {
		number, first uint64
		offset        int64
	}{{8, 100, at}, {7, 99, at}, {7, 100, at - 1}, {7, 100, at + 1}} {
		if entries, _ := parseFooter(r, c.number, c.first, c.offset); entries != nil {
			t.Errorf("the footer is used as that of %+v", c)
		}
	}
}

// Footers have the copies of rewrites, and acknowledgements before and after them.
func TestFooterWithCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.maxBytes, f.segmentBytes = 1<<20, 64<<10
		j := f.open(t)
		for round := range 40 {
			f.putWhenFree(t, j, upTo(100)...)
			fetched := fetchAll(t, j)
			j.Ack(fetched[1+round%2:])
			synctest.Wait()
			compareBooks(t, f.disk.process())
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		compareBooks(t, f.disk.process())
		_, r := recoverFrom(t, f.disk.process(), true)
		if len(r.index.copies) == 0 || r.packets != 0 {
			t.Errorf("%d packets were rewritten, and %d records were read in spite of the footers", len(r.index.copies), r.packets)
		}
	})
}

// FuzzFooter reads arbitrary entries. They are only used if they fill the segment.
func FuzzFooter(f *testing.F) {
	var seed footer
	seed.reset(1, 1)
	seed.addPacket(&packet.Packet{Body: []byte(`{}`), Info: packet.Info{Messages: 1}, Accepted: time.Unix(1, 0)}, recordHeaderBytes+2)
	seed.addAcks(appendAcks(nil, []sequenceRange{{1, 1}}, 2))
	seed.addCopies([]footerEntry{{kind: kindCopy, bytes: 50, sequence: 1, volume: packet.Volume{Packets: 1, Messages: 2, Bytes: 14}}})
	seed.endRun()
	f.Add(seed.text, int64(1000), uint64(1))
	f.Fuzz(func(t *testing.T, text []byte, offset int64, first uint64) {
		whole := footer{number: 1, next: 2, text: text}
		sealed := whole.record()
		if sealed == nil {
			return
		}
		r, _ := parseRecord(sealed)
		entries, next := parseFooter(r, 1, first, offset)
		at, packets := int64(segmentHeaderBytes), uint64(0)
		for _, e := range entries {
			at += e.bytes
			if e.kind == kindPacket {
				packets += uint64(e.volume.Packets)
			}
			if e.bytes < recordHeaderBytes || e.volume.Bytes > e.bytes {
				t.Errorf("impossible entry %+v", e)
			}
		}
		if entries != nil && (at != offset || first+packets != next) {
			t.Errorf("the entries end at %d of %d, with packet %d of %d", at, offset, first+packets, next)
		}
	})
}

// sealedSegment returns a segment with packets from first on, and its footer.
func sealedSegment(number, first uint64, packets int) []byte {
	f := footer{}
	f.reset(number, first)
	content := segmentHeader{number: number, first: first}.encode()
	for range packets {
		p := &packet.Packet{Body: []byte(`{"a":1}`), Info: packet.Info{Messages: 1}, Accepted: time.Unix(1, 0), Sequence: f.next}
		record := append(appendPacketHead(nil, p), p.Body...)
		f.addPacket(p, int64(len(record)))
		content = append(content, record...)
	}
	return append(content, f.record()...)
}

// A footer is not used if packets of its segment are invalid or repeat earlier ones.
func TestFooterAgainstOtherSegments(t *testing.T) {
	for name, firsts := range map[string][]uint64{"invalid": {1, 4, 9}, "repeated": {1, 20, 6}} {
		segments := map[string][]byte{}
		for i, first := range firsts {
			segments[segmentPath("/data/journal", uint64(i+1))] = sealedSegment(uint64(i+1), first, 5)
		}
		byFooters, _ := recoverFrom(t, fixtureWith(segments).disk.process(), true)
		byRecords, _ := recoverFrom(t, fixtureWith(segments).disk.process(), false)
		if !reflect.DeepEqual(byFooters, byRecords) {
			t.Errorf("%s: the footers say %+v, the records say %+v", name, byFooters, byRecords)
		}
	}
}

// The runs of a footer are blocks as they are read back, which grow and are acknowledged.
func TestRunsAreBlocks(t *testing.T) {
	const packets = 3 * blockBytes / (recordHeaderBytes + 7)
	segments := map[string][]byte{segmentPath("/data/journal", 1): sealedSegment(1, 1, packets)}
	_, r := recoverFrom(t, fixtureWith(segments).disk.process(), true)
	if len(r.index.blocks) != 4 || r.packets != 0 {
		t.Errorf("the index has %d blocks, want 4", len(r.index.blocks))
	}
	x, s := index{}, &segment{}
	x.add(location{segment: s, sequence: 1, bytes: 100, volume: packet.Volume{Packets: 10}})
	x.ackRange(sequenceRange{3, 2})
	x.add(location{segment: s, sequence: 11, offset: 100, bytes: 1000, volume: packet.Volume{Packets: 100}})
	x.ackRange(sequenceRange{100, 1})
	left := []uint64{}
	x.blocks[0].eachUnacked(func(sequence uint64) { left = append(left, sequence) })
	if len(x.blocks) != 1 || len(left) != 107 || s.unacked != 107 || slices.Contains(left, 100) {
		t.Errorf("%d blocks, %d packets left: %v", len(x.blocks), s.unacked, left)
	}
}

// Footers count as bytes of the journal.
func TestFootersAreCounted(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	for id := range 400 { // several segments
		f.put(t, j, id)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := j.Status().Bytes, f.disk.bytes(); got != want || len(f.disk.files) < 3 {
		t.Errorf("the journal has %d bytes, the disk %d", got, want)
	}
}

// A footer that cannot be written leaves no trace.
func TestFooterCannotBeWritten(t *testing.T) {
	for _, operation := range []string{"write", "sync"} {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, 0, 1, 2)
		f.disk.failWhen(syscall.ENOSPC, func(failing, path string) bool {
			return failing == operation && path == segmentPath("/data/journal", 1)
		})
		_ = j.Close()
		f.disk.fail("", nil)
		_, r := recoverFrom(t, f.disk.process(), true)
		if r.packets != 3 || len(r.damages) > 0 {
			t.Errorf("%s fails: %d records were read, damages %+v", operation, r.packets, r.damages)
		}
		j = f.open(t)
		same(t, "what is left", idsOf(t, fetchAll(t, j)), []int{0, 1, 2})
		j.Close()
	}
}
