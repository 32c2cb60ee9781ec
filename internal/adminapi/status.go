package adminapi

import (
	"encoding/json"
	"time"
)

// Status is the response of GET /v1/status. Ingest is the URL of the ingest server, if it has one.
type Status struct {
	State       string         `json:"state"`
	Reason      string         `json:"reason"`
	Ready       bool           `json:"ready"`
	Refusal     *Refusal       `json:"refusal,omitempty"`
	Intake      string         `json:"intake"`
	Dispatch    string         `json:"dispatch"`
	Ingest      string         `json:"ingest,omitempty"`
	Version     string         `json:"version"`
	Boot        string         `json:"boot"`
	Started     time.Time      `json:"started"`
	Uptime      Duration       `json:"uptime"`
	Revision    int64          `json:"revision"`
	Overrides   int            `json:"overrides"`
	Analyzers   AnalyzerCounts `json:"analyzers"`
	Journal     Journal        `json:"journal"`
	Settings    SettingsStatus `json:"settings"`
	Ledger      Ledger         `json:"ledger"`
	DeadLetters Losses         `json:"dead_letters"`
	Rates       Rates          `json:"rates"`
	LastReload  *Reload        `json:"last_reload"`
}

// Refusal is why no packet would be accepted now.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// AnalyzerCounts are numbers of analyzers.
type AnalyzerCounts struct {
	Total   int `json:"total"`
	Healthy int `json:"healthy"`
}

// Journal describes the journal.
type Journal struct {
	Kind     string `json:"kind"`
	Survives string `json:"survives"`
	// Shared reports whether other distributors may deliver what this one accepts.
	Shared bool `json:"shared"`
	// Limit is the setting that the journal is nearest to.
	Limit string `json:"limit"`
}

// SettingsStatus describes where the changes of operators are kept.
type SettingsStatus struct {
	// Shared reports whether changes hold at all distributors of the cluster, Synchronized whether
	// this one has the latest. Detail is why not.
	Shared       bool   `json:"shared"`
	Synchronized bool   `json:"synchronized"`
	Detail       string `json:"detail,omitempty"`
}

// Ledger is where accepted packets are: Accepted, with a shared journal Received, is the sum of the
// volumes that follow it and of UnaccountedMessages.
type Ledger struct {
	Accepted     Volume `json:"accepted"`
	Delivered    Volume `json:"delivered"`
	Queued       Volume `json:"queued"`
	InFlight     Volume `json:"in_flight"`
	DeadLettered Volume `json:"dead_lettered"`
	Damaged      Volume `json:"damaged"`
	// Received and Returned are nil without a shared journal.
	Received            *Volume `json:"received,omitempty"`
	Returned            *Volume `json:"returned,omitempty"`
	UnaccountedMessages int64   `json:"unaccounted_messages"`
}

// Losses are dead letters that are not, or no longer, in the files.
type Losses struct {
	WriteErrors  int64 `json:"write_errors"`
	FilesRemoved int64 `json:"files_removed"`
}

// Rates are those of about the last second.
type Rates struct {
	Accepted  float64 `json:"accepted_messages_per_s"`
	Delivered float64 `json:"delivered_messages_per_s"`
	Refused   float64 `json:"refused_packets_per_s"`
}

// Reload is a reload of the configuration.
type Reload struct {
	Time       time.Time `json:"time"`
	Successful bool      `json:"successful"`
	Detail     string    `json:"detail"`
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

// Cluster is the response of GET /v1/cluster.
type Cluster struct {
	AnsweredBy string `json:"answered_by"`
	// Connected is false while changes of the list may be missed; Detail is why.
	Connected    bool          `json:"connected"`
	Detail       string        `json:"detail,omitempty"`
	Distributors []Distributor `json:"distributors"`
	Sum          ClusterSum    `json:"sum"`
	// Stored is what the streams hold; nil without a shared journal.
	Stored *Stored `json:"stored,omitempty"`
}

// Distributor is a distributor of a cluster.
type Distributor struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Admin   string `json:"admin,omitempty"`
	// Answers marks the distributor that answers the request.
	Responses bool `json:"answers"`
	// Age is the time since the distributor announced the members below.
	Age          Duration       `json:"age"`
	Version      string         `json:"version"`
	Started      time.Time      `json:"started"`
	State        string         `json:"state"`
	Reason       string         `json:"reason"`
	Ready        bool           `json:"ready"`
	Intake       string         `json:"intake"`
	Dispatch     string         `json:"dispatch"`
	Revision     int64          `json:"revision"`
	Synchronized bool           `json:"synchronized"`
	Analyzers    AnalyzerCounts `json:"analyzers"`
	Ledger       Ledger         `json:"ledger"`
	Rates        Rates          `json:"rates"`
}

// ClusterSum sums up the distributors of a cluster.
type ClusterSum struct {
	Distributors int    `json:"distributors"`
	Ready        int    `json:"ready"`
	Ledger       Ledger `json:"ledger"`
	Rates        Rates  `json:"rates"`
}

// Stored is what the streams of a cluster hold.
type Stored struct {
	Envelopes int64 `json:"envelopes"`
	Bytes     int64 `json:"bytes"`
	Limit     int64 `json:"limit_bytes"`
}

// Backlog is the response of GET /v1/backlog: accepted packets that are not settled.
type Backlog struct {
	Total     Volume   `json:"total"`
	OldestAge Duration `json:"oldest_age"`
	// DrainEstimate is nil while nothing is delivered.
	DrainEstimate *Duration        `json:"drain_estimate"`
	ByPlace       []BacklogPlace   `json:"by_place"`
	ByEmitter     []BacklogEmitter `json:"by_emitter"`
	Senders       []Sender         `json:"senders"`
}

// BacklogPlace is the backlog of the journal, the router or an analyzer.
type BacklogPlace struct {
	Place    string `json:"place"`
	Analyzer string `json:"analyzer,omitempty"`
	Volume
	Bytes int64 `json:"bytes"`
}

// BacklogEmitter estimates the backlog of an emitter.
type BacklogEmitter struct {
	Emitter string `json:"emitter"`
	Volume
	ErrorMessages int64 `json:"error_messages"`
}

// Sender is an emitter that sends much of what was accepted lately: its part of the messages,
// estimated from samples that are taken while somebody asks.
type Sender struct {
	Emitter string  `json:"emitter"`
	Share   float64 `json:"share"`
}

// Refusals is the response of GET /v1/refusals.
type Refusals struct {
	Emitters []RefusedEmitter `json:"emitters"`
}

// RefusedEmitter is an emitter whose packets were refused lately. Each packet counts half after a
// minute.
type RefusedEmitter struct {
	Emitter      string           `json:"emitter"`
	Packets      int64            `json:"packets"`
	ErrorPackets int64            `json:"error_packets"`
	ByReason     []RefusedPackets `json:"by_reason"`
	Last         time.Time        `json:"last"`
}

// RefusedPackets are the packets that were refused for a reason.
type RefusedPackets struct {
	Reason  string `json:"reason"`
	Packets int64  `json:"packets"`
}

// Events is the response of GET /v1/events.
type Events struct {
	Events []Event `json:"events"`
	Last   int64   `json:"last"`
}

// Event is a change of the configuration or of an analyzer's state, or an attempt to change
// something.
type Event struct {
	ID      int64           `json:"id"`
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind"`
	Actor   string          `json:"actor,omitempty"`
	Address string          `json:"address,omitempty"`
	Path    string          `json:"path,omitempty"`
	Old     any             `json:"old,omitempty"`
	New     any             `json:"new,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Result  string          `json:"result,omitempty"`
	Detail  json.RawMessage `json:"detail,omitempty"`
}

// Session is the response of GET /v1/session: the caller and its role.
type Session struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires,omitzero"`
}

// Overview is an event of GET /v1/stream: what viewers show besides the snapshots.
type Overview struct {
	Status    Status           `json:"status"`
	Analyzers Analyzers        `json:"analyzers"`
	Backlog   Backlog          `json:"backlog"`
	Refused   []RefusedEmitter `json:"refused_emitters"`
	Cluster   *Cluster         `json:"cluster,omitempty"`
	LastEvent int64            `json:"last_event"`
}
