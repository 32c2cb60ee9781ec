package router

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
)

// TraceLimit bounds a trace: recorded picks, then those to come.
type TraceLimit struct {
	// Past is how many recorded picks the trace has at least, if there are as many. It
	// begins where a frame does.
	Past int
	// For is for how long it continues, and Picks after how many picks it ends before that; 0
	// is no limit. If both are 0 it has recorded picks only.
	For   time.Duration
	Picks int
}

const (
	// chunkFrames is the maximum number of frames that are copied at a time, while
	// routing waits.
	chunkFrames = 16
	// traceInterval is the interval at which a trace reads new entries.
	traceInterval = 20 * time.Millisecond
)

// Trace writes a trace (see TraceVersion) until its limit is reached, the context ends or
// the writer fails; the end of the context is no error. Emitters are hashed with a random
// salt, so that two traces cannot be compared. A trace holds up to 100 KiB; if the writer
// is so slow that entries are overwritten before they are read, the trace has their number.
// Trace may be called concurrently.
func (r *Router) Trace(ctx context.Context, w io.Writer, limit TraceLimit) error {
	if r.recorder == nil {
		return ErrNotRecorded
	}
	if limit.Past < 0 || limit.For < 0 || limit.Picks < 0 {
		return fmt.Errorf("a trace of %d picks, %v and %d more picks: none may be negative", limit.Past, limit.For, limit.Picks)
	}
	t := &tracer{recorder: r.recorder, salt: maphash.MakeSeed(), out: bufio.NewWriter(w), limit: limit}
	t.encoder = json.NewEncoder(t.out)
	r.do(func() { t.next, t.end = r.recorder.startOf(limit.Past), r.recorder.next })
	if limit.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit.For)
		defer cancel()
	}
	return t.run(ctx, r)
}

// startOf returns where a trace begins that has at least a number of recorded picks.
func (rec *recorder) startOf(picks int) uint64 {
	first := rec.current.first
	for {
		for _, e := range rec.frameAt(first).recorded() {
			if e.op() == opPick {
				picks--
			}
		}
		if picks <= 0 || first == rec.oldest() {
			return first
		}
		first -= frameEntries
	}
}

// tracer writes one trace.
type tracer struct {
	recorder *recorder
	salt     maphash.Seed
	out      *bufio.Writer
	encoder  *json.Encoder
	limit    TraceLimit

	next    uint64 // sequence number of the next entry to read
	end     uint64 // that of the first that was not recorded when the trace began
	begun   bool   // entries are read
	started bool   // the header is written
	began   int64  // its time, in microseconds since the recorder started
	members []memberRecord
	live    int // picks written that were recorded since the trace began
}

// traceChunk is a copy of entries of one frame.
type traceChunk struct {
	first   uint64
	start   int64
	entries []entry
	ids     []uint64
	// If the trace begins, continues after lost entries, or the set of members changed,
	// the state before the entries.
	state   *fairshare.State
	members []memberRecord
	lost    uint64
}

func (t *tracer) run(ctx context.Context, r *Router) error {
	ticker := time.NewTicker(traceInterval)
	defer ticker.Stop()
	for {
		var chunks []traceChunk
		var strict bool
		r.do(func() { chunks, strict = t.read(), r.strict })
		for _, c := range chunks {
			if done, err := t.write(c, strict); done || err != nil {
				return err
			}
		}
		if err := t.out.Flush(); err != nil {
			return err
		}
		if t.limit.For == 0 && t.limit.Picks == 0 && t.next >= t.end {
			return nil
		}
		if len(chunks) == chunkFrames && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// read copies the next entries of up to chunkFrames frames. The routing goroutine runs it.
func (t *tracer) read() (chunks []traceChunk) {
	rec := t.recorder
	first := !t.begun
	t.begun = true
	lost := uint64(0)
	if oldest := rec.oldest(); t.next < oldest {
		lost, t.next = oldest-t.next, oldest
	}
	for len(chunks) < chunkFrames {
		f := rec.frameAt(t.next)
		offset := int(t.next - f.first)
		if offset < f.count || first {
			c := traceChunk{first: t.next, start: f.start, lost: lost}
			c.entries = slices.Clone(f.recorded()[offset:])
			c.ids = slices.Clone(f.ids[offset:f.count])
			if first || lost > 0 || offset == 0 && f.changed {
				state := cloneState(f.table)
				c.state, c.members = &state, slices.Clone(f.members)
			}
			chunks = append(chunks, c)
			first, lost = false, 0
		}
		if f == rec.current {
			t.next = rec.next
			break
		}
		t.next = f.first + frameEntries
	}
	return chunks
}

// write writes a chunk and reports whether the trace has reached its limit.
func (t *tracer) write(c traceChunk, strict bool) (done bool, err error) {
	if c.state != nil {
		t.members = c.members
		if err := t.writeState(c, strict); err != nil {
			return true, err
		}
	}
	for k, one := range c.entries {
		e := one.decode(c.start)
		if err := t.writeEvent(e, c.ids[k]); err != nil {
			return true, err
		}
		if e.op == opPick && c.first+uint64(k) >= t.end {
			t.live++
			if t.live == t.limit.Picks {
				return true, t.out.Flush()
			}
		}
	}
	return false, nil
}

// writeState writes the header, or the state after an interruption.
func (t *tracer) writeState(c traceChunk, strict bool) error {
	state := traceState(*c.state, c.members)
	if t.started {
		line := TraceEvent{T: seconds(t.began, c.start), Kind: TraceReset, State: &state, Lost: c.lost}
		if c.lost > 0 {
			line.Kind = TraceGap
		}
		return t.encoder.Encode(line)
	}
	t.started, t.began = true, c.start
	header := TraceHeader{Version: TraceVersion, Time: t.recorder.timeAt(c.start), Routing: "adaptive", TraceState: state}
	if strict {
		header.Routing = "strict"
	}
	return t.encoder.Encode(header)
}

// writeEvent writes an operation, and before the first pick of a packet the packet.
func (t *tracer) writeEvent(e event, ids uint64) error {
	if e.op == opPick && e.cause == causeFirst {
		accepted := e.at - e.waited.Microseconds()
		emitter := fmt.Sprintf("h:%08x", uint32(maphash.Comparable(t.salt, ids>>32)))
		if err := t.encoder.Encode(TraceEvent{T: seconds(t.began, accepted), Kind: TracePacket, Messages: e.messages, Emitter: emitter}); err != nil {
			return err
		}
	}
	line := traceEvent(e, t.members)
	line.T = seconds(t.began, e.at)
	return t.encoder.Encode(line)
}
