package adminclient

import (
	"encoding/json"
	"time"
)

// Duration is a duration that JSON has as a text such as "1m30s".
type Duration time.Duration

// UnmarshalJSON reads a text; null is 0.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var s *string
	if err := json.Unmarshal(text, &s); err != nil || s == nil {
		return err
	}
	parsed, err := time.ParseDuration(*s)
	*d = Duration(parsed)
	return err
}

// String returns the text.
func (d Duration) String() string { return time.Duration(d).String() }

// Status is the answer of GET /v1/status.
type Status struct {
	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	Ready     bool      `json:"ready"`
	Intake    string    `json:"intake"`
	Dispatch  string    `json:"dispatch"`
	Version   string    `json:"version"`
	Boot      string    `json:"boot"`
	Started   time.Time `json:"started"`
	Uptime    Duration  `json:"uptime"`
	Revision  int64     `json:"revision"`
	Overrides int       `json:"overrides"`
	Analyzers struct {
		Total   int `json:"total"`
		Healthy int `json:"healthy"`
	} `json:"analyzers"`
	Ledger Ledger `json:"ledger"`
	Rates  Rates  `json:"rates"`
	// Settings says whether changes hold at all distributors of a cluster, and whether this one
	// has the latest.
	Settings struct {
		Shared       bool   `json:"shared"`
		Synchronized bool   `json:"synchronized"`
		Detail       string `json:"detail"`
	} `json:"settings"`
	LastReload *struct {
		Time       time.Time `json:"time"`
		Successful bool      `json:"successful"`
		Detail     string    `json:"detail"`
	} `json:"last_reload"`
}

// Rates are those of the last second or so.
type Rates struct {
	Accepted  float64 `json:"accepted_messages_per_s"`
	Delivered float64 `json:"delivered_messages_per_s"`
	Refused   float64 `json:"refused_packets_per_s"`
}

// Cluster is the answer of GET /v1/cluster.
type Cluster struct {
	AnsweredBy   string `json:"answered_by"`
	Connected    bool   `json:"connected"`
	Detail       string `json:"detail"`
	Distributors []struct {
		Name         string   `json:"name"`
		Address      string   `json:"address"`
		Answers      bool     `json:"answers"`
		Age          Duration `json:"age"`
		Version      string   `json:"version"`
		State        string   `json:"state"`
		Ready        bool     `json:"ready"`
		Revision     int64    `json:"revision"`
		Synchronized bool     `json:"synchronized"`
		Ledger       Ledger   `json:"ledger"`
		Rates        Rates    `json:"rates"`
	} `json:"distributors"`
	Sum struct {
		Distributors int    `json:"distributors"`
		Ready        int    `json:"ready"`
		Ledger       Ledger `json:"ledger"`
		Rates        Rates  `json:"rates"`
	} `json:"sum"`
	// Stored is what the streams hold; nil without.
	Stored *struct {
		Envelopes int64 `json:"envelopes"`
		Bytes     int64 `json:"bytes"`
		Limit     int64 `json:"limit_bytes"`
	} `json:"stored"`
}

// Pauses returns what an operator has paused, such as "intake paused".
func (s Status) Pauses() (pauses []string) {
	if s.Intake == "paused" {
		pauses = append(pauses, "intake paused")
	}
	if s.Dispatch == "paused" {
		pauses = append(pauses, "dispatch paused")
	}
	return pauses
}

// Ledger is where accepted packets are: Accepted is the sum of the other volumes and
// UnaccountedMessages.
type Ledger struct {
	Accepted            Volume `json:"accepted"`
	Delivered           Volume `json:"delivered"`
	Queued              Volume `json:"queued"`
	InFlight            Volume `json:"in_flight"`
	DeadLettered        Volume `json:"dead_lettered"`
	Damaged             Volume `json:"damaged"`
	UnaccountedMessages int64  `json:"unaccounted_messages"`
}

// Backlog is the answer of GET /v1/backlog.
type Backlog struct {
	Total     Volume   `json:"total"`
	OldestAge Duration `json:"oldest_age"`
	// DrainEstimate is nil while nothing is delivered.
	DrainEstimate *Duration `json:"drain_estimate"`
	ByPlace       []struct {
		Place    string `json:"place"`
		Analyzer string `json:"analyzer"`
		Volume
		Bytes int64 `json:"bytes"`
	} `json:"by_place"`
	ByEmitter []struct {
		Emitter string `json:"emitter"`
		Volume
		ErrorMessages int64 `json:"error_messages"`
	} `json:"by_emitter"`
}

// Refusals is the answer of GET /v1/refusals.
type Refusals struct {
	Emitters []struct {
		Emitter      string `json:"emitter"`
		Packets      int64  `json:"packets"`
		ErrorPackets int64  `json:"error_packets"`
		ByReason     []struct {
			Reason  string `json:"reason"`
			Packets int64  `json:"packets"`
		} `json:"by_reason"`
		Last time.Time `json:"last"`
	} `json:"emitters"`
}

// Events is the answer of GET /v1/events.
type Events struct {
	Events []Occurrence `json:"events"`
	Last   int64        `json:"last"`
}

// Occurrence is something that happened to the configuration or to an analyzer, or an attempt
// to change something.
type Occurrence struct {
	ID      int64           `json:"id"`
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind"`
	Actor   string          `json:"actor"`
	Address string          `json:"address"`
	Path    string          `json:"path"`
	Old     any             `json:"old"`
	New     any             `json:"new"`
	Reason  string          `json:"reason"`
	Result  string          `json:"result"`
	Detail  json.RawMessage `json:"detail"`
}

// Session is the answer of GET /v1/session: who the caller is.
type Session struct {
	Name string `json:"name"`
	Role string `json:"role"`
	By   string `json:"by"`
}

// Scale is the answer of GET /v1/scale: of a group, or of all together.
type Scale struct {
	Group    string   `json:"group"`
	Desired  int      `json:"desired"`
	Current  int      `json:"current"`
	Healthy  int      `json:"healthy"`
	Needed   int      `json:"needed"`
	Reason   string   `json:"reason"`
	Arriving float64  `json:"arriving_messages_per_s"`
	Backlog  float64  `json:"backlog_messages"`
	Pace     *float64 `json:"pace"` // nil: it is not known
	Min      int      `json:"min"`
	Max      int      `json:"max"`
	Groups   []Scale  `json:"groups"`
}
