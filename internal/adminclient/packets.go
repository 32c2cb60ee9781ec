package adminclient

import (
	"encoding/json"
	"time"
)

// DeadLetters is the answer of GET /v1/dead-letters.
type DeadLetters struct {
	DeadLetters []DeadLetter `json:"dead_letters"`
	// Next is what the next part comes after; empty at the end.
	Next string `json:"next"`
	// Unreadable is the number of lines that are no dead letters.
	Unreadable int64 `json:"unreadable"`
}

// DeadLetter is a packet that will not be delivered.
type DeadLetter struct {
	ID       string          `json:"id"`
	Time     time.Time       `json:"time"`
	Analyzer string          `json:"analyzer"`
	Reason   string          `json:"reason"`
	Detail   string          `json:"detail"`
	Emitter  string          `json:"emitter_id"`
	PacketID string          `json:"packet_id"`
	Messages int64           `json:"messages"`
	Bytes    int64           `json:"bytes"`
	Replayed bool            `json:"replayed"`
	Packet   json.RawMessage `json:"packet"`
}

// Replay is a replay of dead letters.
type Replay struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Matched  int64     `json:"matched"`
	Replayed int64     `json:"replayed"`
	Failed   int64     `json:"failed"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Detail   string    `json:"detail"`
}

// Decision is why a packet went to an analyzer.
type Decision struct {
	Seq        int64     `json:"seq"`
	Time       time.Time `json:"time"`
	Cause      string    `json:"cause"`
	Messages   int64     `json:"messages"`
	Chosen     string    `json:"chosen"`
	RunnerUp   string    `json:"runner_up"`
	Margin     float64   `json:"margin"`
	Bound      float64   `json:"bound"`
	WaitedUS   int64     `json:"waited_us"`
	Candidates []struct {
		ID      string    `json:"id"`
		Deficit float64   `json:"deficit"`
		Share   float64   `json:"share"`
		Ramp    float64   `json:"ramp"`
		Room    int64     `json:"room"`
		Out     string    `json:"out"`
		Until   time.Time `json:"until"`
	} `json:"candidates"`
	Outcome *struct {
		State     string  `json:"state"`
		Attempts  int64   `json:"attempts"`
		LatencyMS float64 `json:"latency_ms"`
	} `json:"outcome"`
}

// ShareExplanation is why an analyzer has its share.
type ShareExplanation struct {
	Analyzer string  `json:"analyzer"`
	Share    float64 `json:"share"`
	Weight   float64 `json:"weight"`
	Ramp     float64 `json:"ramp"`
	Member   bool    `json:"member"`
	Out      string  `json:"out"`
	Sentence string  `json:"sentence"`
}

// TappedPacket is a packet that a tap saw.
type TappedPacket struct {
	Time     time.Time       `json:"time"`
	Stage    string          `json:"stage"`
	Emitter  string          `json:"emitter_id"`
	PacketID string          `json:"packet_id"`
	Analyzer string          `json:"analyzer"`
	Level    string          `json:"level"`
	Messages int64           `json:"messages"`
	Bytes    int64           `json:"bytes"`
	Reason   string          `json:"reason"`
	Detail   string          `json:"detail"`
	Packet   json.RawMessage `json:"packet"`
	// Text stands for a packet that is no JSON object, or was cut.
	Text string `json:"text"`
}

// TapDropped is how many packets a tap left out.
type TapDropped struct {
	Dropped int64 `json:"dropped"`
}

// StreamEnd is why the server ended a stream.
type StreamEnd struct {
	Reason string `json:"reason"`
}

// Snapshot is what a second looked like.
type Snapshot struct {
	Boot      string                         `json:"boot"`
	Seq       int64                          `json:"seq"`
	Time      int64                          `json:"time"` // milliseconds since 1970
	Values    map[string]*float64            `json:"values"`
	Analyzers map[string]map[string]*float64 `json:"analyzers"`
	// Texts is what has no column, such as the state.
	Texts         map[string]string            `json:"texts"`
	AnalyzerTexts map[string]map[string]string `json:"analyzer_texts"`
}

// History is the snapshots of the last minutes, as columns as long as Times.
type History struct {
	Boot      string                           `json:"boot"`
	Seq       int64                            `json:"seq"`
	Times     []int64                          `json:"times"`
	Columns   map[string][]*float64            `json:"columns"`
	Analyzers map[string]map[string][]*float64 `json:"analyzers"`
}
