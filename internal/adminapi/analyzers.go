package adminapi

import "time"

// Analyzers is the response of GET /v1/analyzers.
type Analyzers struct {
	Revision int64 `json:"revision"`
	// BoundMessages is the maximum deviation of an analyzer from its share.
	BoundMessages float64    `json:"bound_messages"`
	Analyzers     []Analyzer `json:"analyzers"`
}

// Analyzer is the configuration and the state of an analyzer.
type Analyzer struct {
	ID           string         `json:"id"`
	Spec         AnalyzerSpec   `json:"spec"`
	Group        string         `json:"group,omitempty"`
	Registered   bool           `json:"registered,omitempty"`
	LeaseExpires time.Time      `json:"lease_expires,omitzero"`
	Status       AnalyzerStatus `json:"status"`
	Drain        *Drain         `json:"drain,omitempty"`
}

// OffBy returns how many messages the analyzer has beyond its share; below 0 it lacks some.
func (a Analyzer) OffBy() float64 { return -a.Status.DeviationMessages }

// AnalyzerSpec is the configuration of an analyzer.
type AnalyzerSpec struct {
	URL    string  `json:"url"`
	Weight float64 `json:"weight"`
	State  string  `json:"state"`
}

// AnalyzerStatus is the state of an analyzer.
type AnalyzerStatus struct {
	Share             float64  `json:"share"`
	TargetShare       float64  `json:"target_share"`
	DeviationMessages float64  `json:"deviation_messages"`
	Ramp              float64  `json:"ramp"`
	Healthy           bool     `json:"healthy"`
	Health            string   `json:"health"`
	Breaker           string   `json:"breaker"`
	Queue             Volume   `json:"queue"`
	QueueLimit        int      `json:"queue_limit_packets"`
	InFlight          Volume   `json:"in_flight"`
	Routed            Volume   `json:"routed"`
	Pace              float64  `json:"pace"` // messages per second
	P99               Duration `json:"p99"`
	// Out is why the analyzer is not eligible, until Until if that is known. Outage is why its
	// breaker opened.
	Out    string    `json:"out,omitempty"`
	Outage string    `json:"outage,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// Drains is the response of GET /v1/drains.
type Drains struct {
	Drains []Drain `json:"drains"`
}

// Drain is a drain of an analyzer.
type Drain struct {
	Operation string `json:"operation"`
	Analyzer  string `json:"analyzer"`
	// Kind is the change that started the drain: drain, maint, remove or replace.
	Kind     string    `json:"kind"`
	Running  bool      `json:"running"`
	Started  time.Time `json:"started"`
	Deadline time.Time `json:"deadline"`
	Ended    time.Time `json:"ended,omitzero"`
	// Left is what the analyzer holds while the drain runs, Proof the result when it has ended.
	Left  *Volume     `json:"left,omitempty"`
	Proof *DrainProof `json:"proof,omitempty"`
	// Restarts counts the processes that ended before the drain did; BeforeRestart is the proof
	// of the last one.
	Restarts      int         `json:"restarts,omitempty"`
	BeforeRestart *DrainProof `json:"before_restart,omitempty"`
}

// LeftVolume returns Left, or an empty volume without it.
func (d Drain) LeftVolume() Volume {
	if d.Left == nil {
		return Volume{}
	}
	return *d.Left
}

// DrainProof accounts for the packets that an analyzer held when its drain began:
// Held.Packets + RoutedSince = Delivered + Rerouted + DeadLettered + Remaining + Unaccounted.
type DrainProof struct {
	Result       string `json:"result"`
	Held         Volume `json:"held"`
	Delivered    int64  `json:"delivered"`
	Rerouted     int64  `json:"rerouted"`
	DeadLettered int64  `json:"dead_lettered"`
	Remaining    int64  `json:"remaining"`
	RoutedSince  int64  `json:"routed_since"`
	// PossibleDuplicates counts rerouted packets that the analyzer may have received.
	PossibleDuplicates int64 `json:"possible_duplicates"`
	Unaccounted        int64 `json:"unaccounted"`
}

// Lease is the lease of an analyzer that registered.
type Lease struct {
	ID      string    `json:"id"`
	Group   string    `json:"group,omitempty"`
	URL     string    `json:"url"`
	Weight  float64   `json:"weight"` // of the group
	TTL     Duration  `json:"ttl"`
	Expires time.Time `json:"expires"`
	State   string    `json:"state"` // active or lapsed
	Owner   string    `json:"owner"`
	DryRun  bool      `json:"dry_run,omitempty"`
}

// Leases is the response of GET /v1/leases.
type Leases struct {
	Leases []Lease `json:"leases"`
}

// EndedLease is the response to the end of a lease. An analyzer that got no packets has no drain.
type EndedLease struct {
	Operation string `json:"operation,omitempty"`
	Drain     *Drain `json:"drain,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`
}

// Scale is the response of GET /v1/scale: of a group, or of all groups together.
type Scale struct {
	Desired     int      `json:"desired"`
	Current     int      `json:"current"`
	Reason      string   `json:"reason"`
	Group       string   `json:"group,omitempty"`
	Healthy     int      `json:"healthy"`
	Needed      int      `json:"needed"`
	Arriving    float64  `json:"arriving_messages_per_s"`
	Backlog     float64  `json:"backlog_messages"`
	Pace        *float64 `json:"pace"` // nil: it is unknown, or differs by group
	Utilization float64  `json:"utilization"`
	DrainTime   float64  `json:"drain_sec"`
	Min         int      `json:"min"`
	Max         int      `json:"max"`
	Groups      []Scale  `json:"groups,omitempty"`
}
