package router

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Explanation is why a packet was routed to an analyzer.
type Explanation struct {
	// Seq is the sequence number of the pick; later picks have larger ones.
	Seq  uint64
	Time time.Time
	// Cause is first (the packet was not bound before), again (an analyzer may have
	// received it) or returned (the analyzer that held it returned it untouched).
	Cause    string
	Messages int
	// Chosen is the analyzer with the largest deficit. Margin is how much larger, in
	// messages, it is than that of RunnerUp, which is empty if there was no other.
	Chosen   string
	RunnerUp string
	Margin   float64
	// Bound is the maximum deviation of an analyzer from its share in messages.
	Bound        float64
	WaitedMicros int64
	Candidates   []Candidate
	Outcome      *Outcome
	// Earlier are the earlier picks of the same ids, newest first, at most maxEarlier.
	Earlier []Explanation
}

// Candidate is an analyzer at the time of a pick.
type Candidate struct {
	ID string
	// CandidateState is nil unless the analyzer was eligible.
	*CandidateState
	// Out is why the packet could not be routed to it, empty if it could, and Until when
	// that ends at the latest, if known.
	Out   string
	Until time.Time
}

// CandidateState is what counts for an eligible analyzer.
type CandidateState struct {
	// Deficit is by how many messages the analyzer was below its share, including its
	// share of the packet. The largest deficit is chosen.
	Deficit float64
	Share   float64
	// Ramp is the part of its weight that counted.
	Ramp float64
	// Room is how many packets the analyzer could take. That of the chosen one is exact up
	// to 65 535, others are within a factor of two.
	Room int
}

// ErrNotRecorded reports that the router records no picks.
var ErrNotRecorded = errors.New("picks are not recorded: set EXPLAIN=on and restart")

// UnknownPickError reports that no pick of a packet is recorded.
type UnknownPickError struct {
	Emitter, Packet string
	// OldestSeq and OldestTime are those of the first operation that is recorded, NextSeq
	// is the sequence number of the next one.
	OldestSeq, NextSeq uint64
	OldestTime         time.Time
}

// Error implements error.
func (e *UnknownPickError) Error() string {
	return fmt.Sprintf("no pick of packet %.100q of emitter %.100q is recorded: the record reaches back to %s (sequence number %d, the next one is %d); the packet was routed before, is not routed yet, or was not accepted",
		e.Packet, e.Emitter, e.OldestTime.UTC().Format(time.RFC3339Nano), e.OldestSeq, e.NextSeq)
}

// maxEarlier is the maximum number of earlier picks in an explanation.
const maxEarlier = 8

// recordedPick is a copy of what explains a pick: the state at the start of its frame and
// the operations from there on, of which the pick is the last one.
type recordedPick struct {
	seq     uint64
	start   int64
	table   fairshare.State
	members []memberRecord
	entries []entry
}

// Explain returns why the packet with these ids was routed where it was, by its last pick,
// from the last 65 280 to 65 536 operations. The error is ErrNotRecorded or an
// *UnknownPickError if there is none. Explain may be called concurrently.
func (r *Router) Explain(emitterID, packetID []byte) (Explanation, error) {
	rec := r.recorder
	if rec == nil {
		return Explanation{}, ErrNotRecorded
	}
	hash := packet.HashIDs(emitterID, packetID)
	unknown := &UnknownPickError{Emitter: string(emitterID), Packet: string(packetID)}
	var picks []recordedPick
	r.do(func() {
		picks = rec.find(hash)
		unknown.OldestSeq, unknown.NextSeq = rec.oldest(), rec.next
		unknown.OldestTime = rec.timeAt(rec.frameAt(unknown.OldestSeq).start)
	})
	if len(picks) == 0 {
		return Explanation{}, unknown
	}
	var all []Explanation
	for _, pick := range picks {
		one, err := rec.explain(pick)
		if err != nil {
			return Explanation{}, err
		}
		all = append(all, one)
	}
	all[0].Earlier = all[1:]
	return all[0], nil
}

// find returns the recorded picks of a packet, newest first.
func (rec *recorder) find(hash uint64) (picks []recordedPick) {
	for first := rec.current.first; first >= rec.oldest(); first -= frameEntries {
		f := rec.frameAt(first)
		entries := f.recorded()
		for k := f.count - 1; k >= 0; k-- {
			seq := f.first + uint64(k)
			if f.ids[k] != hash || entries[k].op() != opPick {
				continue
			}
			picks = append(picks, recordedPick{seq, f.start, cloneState(f.table), slices.Clone(f.members), slices.Clone(entries[:k+1])})
			if len(picks) > maxEarlier {
				return picks
			}
		}
	}
	return picks
}

func cloneState(s fairshare.State) fairshare.State {
	s.Weights, s.Active = slices.Clone(s.Weights), slices.Clone(s.Active)
	s.Deficits, s.Reference = slices.Clone(s.Deficits), slices.Clone(s.Reference)
	return s
}

// explain replays the operations before a pick and explains it. It may be called
// concurrently.
func (rec *recorder) explain(pick recordedPick) (Explanation, error) {
	p, err := newReplay(pick.table, pick.members)
	if err != nil {
		return Explanation{}, err
	}
	last := len(pick.entries) - 1
	for _, one := range pick.entries[:last] {
		if err := p.apply(one.decode(pick.start)); err != nil {
			return Explanation{}, err
		}
	}
	e := pick.entries[last].decode(pick.start)
	p.members[e.member].capacity = e.capacity
	explained, ok := p.explain(e.messages, e.avoid)
	if want := p.members[e.member].id; !ok || explained.Chosen != want {
		return Explanation{}, fmt.Errorf("the table picks %s, and %s is recorded", explained.Chosen, want)
	}
	outcome := rec.outcomeOf(pick.seq, e.at)
	explained.Seq, explained.Time, explained.Cause, explained.WaitedMicros, explained.Outcome = pick.seq, rec.timeAt(e.at), e.cause.String(), e.waited.Microseconds(), &outcome
	return explained, nil
}

// timeAt returns the wall clock's time at microseconds since the recorder started.
func (rec *recorder) timeAt(at int64) time.Time {
	return rec.started.Add(time.Duration(at) * time.Microsecond).UTC()
}

func timeOf(unixMicros int64) time.Time {
	if unixMicros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(unixMicros).UTC()
}

// round rounds to a number of units per 1.
func round(value, units float64) float64 { return math.Round(value*units) / units }
