package router

import (
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// The ring of the recorder has 32 bytes an entry, at most 2 MiB in all: 16 for the operation,
// 8 for the hash of a packet's ids and 8 for its outcome. It consists of frames, each of which
// begins with the state of the table, which takes 72 bytes a member. A frame is allocated when
// it is first used.
const (
	ringEntries  = 1 << 16
	frameEntries = 1 << 8
	ringFrames   = ringEntries / frameEntries
	// maxFrame is the maximum time between the first and the last entry of a frame, less
	// than maxAt.
	maxFrame = time.Hour
)

// recorder records the operations on a fair-share table in a ring. Picks are
// deterministic: from the state at the start of a frame its operations give the state
// before each pick, which explains it. Only the routing goroutine uses a recorder, except
// for the outcomes, which the analyzers' senders record.
//
// Each operation is recorded after it was applied and before the next one is, so that the
// state after the last entry is always that of the table.
type recorder struct {
	table   *fairshare.Table
	started time.Time

	frames  [ringFrames]*frame // nil: the frame was never used
	current *frame
	next    uint64         // sequence number of the next entry; its place is modulo ringEntries
	members []memberRecord // by index, after the last entry
}

// frame is up to frameEntries consecutive entries and the state before the first.
type frame struct {
	first   uint64 // sequence number of the first entry
	count   int    // entries
	start   int64  // microseconds since the recorder started
	table   fairshare.State
	members []memberRecord
	// changed: the members changed before the frame, so that its state does not follow
	// from that of the last one.
	changed  bool
	entries  [frameEntries]entry
	ids      [frameEntries]uint64 // of the packets of picks
	outcomes [frameEntries]atomic.Uint64
}

// memberRecord is what is known about a member besides the state of the table.
type memberRecord struct {
	id       string  // empty: the index is unused
	weight   float64 // in the table
	ramp     float64 // the part of the configured weight that it is
	capacity int
	outage   upstream.Outage // the last one, unless it is active
	until    int64           // microseconds since 1970, 0 if it is not known
}

func newRecorder(table *fairshare.Table, now time.Time) *recorder {
	rec := &recorder{
		table: table, started: now,
		next: ringEntries, // so that no pick has the number 0
	}
	rec.beginFrame(0, false)
	return rec
}

// micros returns the microseconds from the start of the recorder to a time.
func (rec *recorder) micros(t time.Time) int64 { return t.Sub(rec.started).Microseconds() }

// beginFrame begins a frame, which replaces the current one if that has no entries, else
// the oldest.
func (rec *recorder) beginFrame(at int64, changed bool) {
	rec.next = (rec.next + frameEntries - 1) &^ (frameEntries - 1)
	slot := &rec.frames[rec.next/frameEntries%ringFrames]
	if *slot == nil {
		*slot = new(frame)
	}
	f := *slot
	f.first, f.count, f.start, f.changed = rec.next, 0, at, changed || f == rec.current && f.changed
	rec.table.Save(&f.table)
	f.members = append(f.members[:0], rec.members...)
	rec.current = f
}

// write appends an entry. A full frame ends at once, while the table has the state after
// the entry.
func (rec *recorder) write(e event) { rec.append(e.encode(rec.current.start), e.at) }

func (rec *recorder) append(e entry, at int64) {
	f := rec.current
	f.entries[rec.next%frameEntries] = e
	rec.next++
	if f.count++; f.count == frameEntries {
		rec.beginFrame(at, false)
	}
}

// oldest returns the first sequence number that is still recorded.
func (rec *recorder) oldest() uint64 {
	// The frame after the current one is the oldest, or was never used.
	at := rec.current.first / frameEntries
	for age := uint64(ringFrames - 1); age > 0; age-- {
		if f := rec.frames[(at-age)%ringFrames]; f != nil && f.count > 0 {
			return f.first
		}
	}
	return rec.current.first
}

// frameAt returns the frame that has or will have the entry with a sequence number, which
// is recorded or the next.
func (rec *recorder) frameAt(sequence uint64) *frame {
	return rec.frames[sequence/frameEntries%ringFrames]
}

// recorded returns the entries of the frame.
func (f *frame) recorded() []entry { return f.entries[:f.count] }
