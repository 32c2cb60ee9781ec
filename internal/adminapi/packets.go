package adminapi

import (
	"encoding/json"
	"time"
)

// DeadLetters is the response of GET /v1/dead-letters.
type DeadLetters struct {
	DeadLetters []DeadLetter `json:"dead_letters"`
	// Next is the parameter after of the next page; empty on the last one.
	Next string `json:"next,omitempty"`
	// Unreadable is the number of lines that are no dead letters.
	Unreadable int64 `json:"unreadable"`
}

// DeadLetter is a packet that is not delivered unless it is replayed.
type DeadLetter struct {
	ID        string          `json:"id"`
	Time      time.Time       `json:"time"`
	Analyzer  string          `json:"analyzer"`
	Reason    string          `json:"reason"`
	Detail    string          `json:"detail,omitempty"`
	EmitterID string          `json:"emitter_id"`
	PacketID  string          `json:"packet_id"`
	Messages  int             `json:"messages"`
	Bytes     int             `json:"bytes"`
	Replayed  bool            `json:"replayed"`
	Packet    json.RawMessage `json:"packet,omitempty"`
}

// Matched is the response to a deletion of dead letters, and to a dry run of one or of a replay: how
// many are selected.
type Matched struct {
	Matched int64 `json:"matched"`
	DryRun  bool  `json:"dry_run,omitempty"`
}

// Replays is the response of GET /v1/dead-letters/replays.
type Replays struct {
	Replays []Replay `json:"replays"`
}

// Replay is a replay of dead letters.
type Replay struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Matched  int64     `json:"matched"`
	Replayed int64     `json:"replayed"`
	Failed   int64     `json:"failed"`
	Rate     float64   `json:"rate"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Detail   string    `json:"detail,omitempty"`
}

// Decisions is the response of GET /v1/explain for a packet: the latest decision, and all of them, the
// latest one first.
type Decisions struct {
	Decision
	Decisions []Decision `json:"decisions"`
}

// NextDecisions is the response of GET /v1/explain for the next packets.
type NextDecisions struct {
	Next []Decision `json:"next"`
}

// Decision is why a packet was routed to an analyzer.
type Decision struct {
	Seq        uint64      `json:"seq,omitempty"`
	Time       time.Time   `json:"time,omitzero"`
	Cause      string      `json:"cause,omitempty"`
	Messages   int         `json:"messages"`
	Chosen     string      `json:"chosen"`
	RunnerUp   string      `json:"runner_up,omitempty"`
	Margin     float64     `json:"margin"`
	Bound      float64     `json:"bound"`
	WaitedUS   int64       `json:"waited_us"`
	Candidates []Candidate `json:"candidates"`
	Outcome    *Outcome    `json:"outcome,omitempty"`
}

// Candidate is an analyzer at the time of a decision.
type Candidate struct {
	ID string `json:"id"`
	*CandidateState
	// Out is why the analyzer was not eligible, and Until when that ended at the latest, if known.
	Out   string    `json:"out,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// CandidateState is the state of an eligible analyzer at the time of a decision.
type CandidateState struct {
	Deficit float64 `json:"deficit"`
	Share   float64 `json:"share"`
	Ramp    float64 `json:"ramp"`
	Room    int     `json:"room"`
}

// Outcome is the result of a decision.
type Outcome struct {
	State     string  `json:"state"`
	Attempts  int     `json:"attempts"`
	LatencyMS float64 `json:"latency_ms"`
}

// ShareExplanation is why an analyzer has its share.
type ShareExplanation struct {
	Analyzer string  `json:"analyzer"`
	Share    float64 `json:"share"`
	Weight   float64 `json:"weight"`
	Ramp     float64 `json:"ramp"`
	Member   bool    `json:"member"`
	Out      string  `json:"out,omitempty"`
	Sentence string  `json:"sentence"`
}

// TappedPacket is an event of GET /v1/tap: a packet at a stage.
type TappedPacket struct {
	Time      time.Time       `json:"time"`
	Stage     string          `json:"stage"`
	EmitterID string          `json:"emitter_id"`
	PacketID  string          `json:"packet_id"`
	Analyzer  string          `json:"analyzer,omitempty"`
	Level     string          `json:"level,omitempty"`
	Messages  int             `json:"messages"`
	Bytes     int             `json:"bytes"`
	Reason    string          `json:"reason,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	Packet    json.RawMessage `json:"packet,omitempty"`
	// Text replaces a packet that is no JSON object, or was cut.
	Text string `json:"text,omitempty"`
}

// TapDropped is an event of GET /v1/tap: how many packets the tap left out.
type TapDropped struct {
	Dropped int64 `json:"dropped"`
}

// StreamEnd is the last event of a stream that the server ends.
type StreamEnd struct {
	Reason string `json:"reason"`
}

// Snapshot is an event of GET /v1/stream: the numbers of a second.
type Snapshot struct {
	Boot      string                         `json:"boot"`
	Seq       int64                          `json:"seq"`
	Time      int64                          `json:"time"` // milliseconds since 1970
	Values    map[string]*float64            `json:"values"`
	Analyzers map[string]map[string]*float64 `json:"analyzers"`
	// Texts are the values that are no numbers, such as the state.
	Texts map[string]string `json:"texts"`
}

// History is the response of GET /v1/history: the latest snapshots, as columns as long as Times.
type History struct {
	Boot      string                           `json:"boot"`
	Seq       int64                            `json:"seq"`
	Times     []int64                          `json:"times"`
	Columns   map[string][]*float64            `json:"columns"`
	Analyzers map[string]map[string][]*float64 `json:"analyzers"`
}
