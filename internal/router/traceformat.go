package router

import (
	"fmt"
	"math"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// TraceVersion identifies the format of traces: NDJSON, a TraceHeader and then TraceEvents in the
// order in which the router made them.
const TraceVersion = "logstreamer-trace/1"

// TraceHeader is the first line of a trace.
type TraceHeader struct {
	Version string    `json:"trace"`
	Time    time.Time `json:"time"`
	// Routing is adaptive or strict.
	Routing string `json:"routing"`
	TraceState
}

// TraceState is the state of a router.
type TraceState struct {
	Analyzers []TraceAnalyzer `json:"analyzers"`
	Table     fairshare.State `json:"table"`
}

// TraceAnalyzer is an analyzer; the table names it by its index.
type TraceAnalyzer struct {
	ID    string  `json:"id"`
	Index int     `json:"index"`
	Ramp  float64 `json:"ramp"`
	Room  int     `json:"room"`
	Out   string  `json:"out,omitempty"`
}

// The kinds of events.
const (
	TracePacket = "packet" // a packet of M messages of emitter Em was accepted; the next pick is for it
	TracePick   = "pick"   // a packet of M messages was routed to A, which had Room, for a Cause, and not to Avoid
	TraceFull   = "full"   // A was picked, had no capacity, and the charge was refunded
	TraceRefund = "refund" // the charge of A for a returned packet of M messages was refunded
	TraceJoin   = "join"   // A became eligible
	TraceLeave  = "leave"  // A is not eligible, because of Out
	TraceWeight = "weight" // A has the weight W, which includes the Ramp
	TraceRoom   = "room"   // A has Room
	TraceReset  = "state"  // the set of analyzers changed: State is the new state
	TraceGap    = "gap"    // the trace was read too slowly: up to Lost events are missing, and State is the state after them
)

// TraceEvent is a further line of a trace.
type TraceEvent struct {
	// T is in seconds since the header's time. That of a packet is when it was accepted.
	T        float64     `json:"t"`
	Kind     string      `json:"e"`
	Messages int         `json:"m,omitempty"`
	Emitter  string      `json:"em,omitempty"`
	Analyzer string      `json:"a,omitempty"`
	Avoid    string      `json:"avoid,omitempty"`
	Cause    string      `json:"cause,omitempty"`
	Room     *int        `json:"room,omitempty"`
	Weight   float64     `json:"w,omitempty"`
	Ramp     float64     `json:"ramp,omitempty"`
	Out      string      `json:"out,omitempty"`
	Lost     uint64      `json:"lost,omitempty"`
	State    *TraceState `json:"state,omitempty"`
}

func traceState(table fairshare.State, members []memberRecord) TraceState {
	state := TraceState{Table: table, Analyzers: []TraceAnalyzer{}}
	for i, m := range members {
		if m.id != "" {
			state.Analyzers = append(state.Analyzers, TraceAnalyzer{ID: m.id, Index: i, Ramp: m.ramp, Room: m.capacity, Out: m.outage.String()})
		}
	}
	return state
}

// traceEvent returns the line of an operation.
func traceEvent(e event, members []memberRecord) TraceEvent {
	line := TraceEvent{Messages: e.messages, Analyzer: members[e.member].id}
	switch e.op {
	case opPick, opFull:
		line.Kind, line.Cause = TracePick, e.cause.String()
		if e.avoid >= 0 {
			line.Avoid = members[e.avoid].id
		}
		if e.op == opFull {
			line.Kind = TraceFull
		} else {
			line.Room = &e.capacity
		}
	case opRefund:
		line.Kind = TraceRefund
	case opJoin:
		line.Kind = TraceJoin
	case opOut:
		line.Kind, line.Out = TraceLeave, e.outage.String()
	case opWeight:
		line.Kind, line.Weight, line.Ramp = TraceWeight, e.weight, e.ramp
	case opCapacity:
		line.Kind, line.Room = TraceRoom, &e.capacity
	}
	return line
}

// operations are the operations of the kinds of lines.
var operations = map[string]operation{
	TracePick: opPick, TraceFull: opFull, TraceRefund: opRefund, TraceJoin: opJoin, TraceLeave: opOut, TraceWeight: opWeight, TraceRoom: opCapacity,
}

// TraceReplay applies the lines of a trace to a fair-share table. It must not be used
// concurrently.
type TraceReplay struct {
	replay  *replay
	indexes map[string]int
}

// NewTraceReplay returns a replay that begins with a state.
func NewTraceReplay(state TraceState) (*TraceReplay, error) {
	members := make([]memberRecord, len(state.Table.Weights))
	indexes := make(map[string]int)
	for _, a := range state.Analyzers {
		_, twice := indexes[a.ID]
		if a.ID == "" || twice || a.Index < 0 || a.Index >= len(members) || members[a.Index].id != "" {
			return nil, fmt.Errorf("the analyzer %q has the index %d: ids and indexes must differ, and indexes be below %d", a.ID, a.Index, len(members))
		}
		members[a.Index] = memberRecord{id: a.ID, ramp: a.Ramp, capacity: a.Room, weight: state.Table.Weights[a.Index]}
		indexes[a.ID] = a.Index
	}
	for i, weight := range state.Table.Weights {
		if (weight == 0) != (members[i].id == "") {
			return nil, fmt.Errorf("the table has the weight %g at index %d: each index with a weight must be that of an analyzer", weight, i)
		}
	}
	p, err := newReplay(state.Table, members)
	if err != nil {
		return nil, err
	}
	return &TraceReplay{p, indexes}, nil
}

// Apply applies a line other than packet, state and gap. matches reports whether the table
// picked the analyzer that is recorded, and is true for lines that are no picks. An error
// means that the line is not valid.
func (p *TraceReplay) Apply(line TraceEvent) (matches bool, err error) {
	e, err := p.event(line)
	if err != nil {
		return false, err
	}
	return p.replay.apply(e) == nil, nil
}

// event returns the operation of a line.
func (p *TraceReplay) event(line TraceEvent) (event, error) {
	op, ok := operations[line.Kind]
	if !ok {
		return event{}, fmt.Errorf("unknown event %q: known are packet, pick, full, refund, join, leave, weight, room, state and gap", line.Kind)
	}
	e := event{op: op, messages: line.Messages, weight: line.Weight, ramp: line.Ramp, avoid: -1}
	if e.member, ok = p.indexes[line.Analyzer]; !ok {
		return e, fmt.Errorf("%s: there is no analyzer %q", line.Kind, line.Analyzer)
	}
	if line.Avoid != "" {
		if e.avoid, ok = p.indexes[line.Avoid]; !ok {
			return e, fmt.Errorf("%s: there is no analyzer %q to avoid", line.Kind, line.Avoid)
		}
	}
	if line.Room != nil {
		e.capacity = *line.Room
	}
	switch {
	case op <= opRefund && (e.messages < 1 || e.messages > fairshare.MaxMessages):
		return e, fmt.Errorf("%s: m is %d: it must be from 1 to %d", line.Kind, e.messages, fairshare.MaxMessages)
	case op == opWeight && !(e.weight > 0 && e.weight <= fairshare.MaxWeight):
		return e, fmt.Errorf("weight: w is %g: it must be above 0 and at most %g", e.weight, float64(fairshare.MaxWeight))
	case op == opOut:
		e.outage = upstream.OutageNamed(line.Out)
	}
	return e, nil
}

// seconds returns the seconds between two numbers of microseconds.
func seconds(from, to int64) float64 { return math.Round(float64(to-from)) / 1e6 }
