package adminclient

import (
	"context"
	"time"
)

// Volume is an amount of packets and the messages in them.
type Volume struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

// Analyzers is the answer of GET /v1/analyzers.
type Analyzers struct {
	Revision      int64      `json:"revision"`
	BoundMessages float64    `json:"bound_messages"`
	Analyzers     []Analyzer `json:"analyzers"`
}

// Analyzer is an analyzer as it is configured and as it is.
type Analyzer struct {
	ID   string `json:"id"`
	Spec struct {
		URL    string  `json:"url"`
		Weight float64 `json:"weight"`
		State  string  `json:"state"`
	} `json:"spec"`
	Status struct {
		Share             float64   `json:"share"`
		TargetShare       float64   `json:"target_share"`
		DeviationMessages float64   `json:"deviation_messages"`
		Ramp              float64   `json:"ramp"`
		Healthy           bool      `json:"healthy"`
		Health            string    `json:"health"`
		Breaker           string    `json:"breaker"`
		Queue             Volume    `json:"queue"`
		QueueLimit        int64     `json:"queue_limit_packets"`
		InFlight          Volume    `json:"in_flight"`
		Routed            Volume    `json:"routed"`
		Pace              float64   `json:"pace"`
		P99               Duration  `json:"p99"`
		Out               string    `json:"out"`
		Until             time.Time `json:"until"`
	} `json:"status"`
	Drain *Drain `json:"drain"`
}

// Drain is a drain of an analyzer.
type Drain struct {
	Operation string `json:"operation"`
	Analyzer  string `json:"analyzer"`
	// Kind is what began the drain: drain, maint, remove or replace.
	Kind     string      `json:"kind"`
	Running  bool        `json:"running"`
	Started  time.Time   `json:"started"`
	Deadline time.Time   `json:"deadline"`
	Ended    time.Time   `json:"ended"`
	Left     Volume      `json:"left"`
	Proof    *DrainProof `json:"proof"`
}

// DrainProof tells what became of the packets that an analyzer held when its drain began:
// Held.Packets = Delivered + Rerouted + DeadLettered + Remaining + Unaccounted.
type DrainProof struct {
	Result             string `json:"result"`
	Held               Volume `json:"held"`
	Delivered          int64  `json:"delivered"`
	Rerouted           int64  `json:"rerouted"`
	DeadLettered       int64  `json:"dead_lettered"`
	Remaining          int64  `json:"remaining"`
	RoutedSince        int64  `json:"routed_since"`
	PossibleDuplicates int64  `json:"possible_duplicates"`
	Unaccounted        int64  `json:"unaccounted"`
}

// Change is the answer to a change of the configuration.
type Change struct {
	Revision int64 `json:"revision"`
	DryRun   bool  `json:"dry_run"`
	Changed  []struct {
		Path string `json:"path"`
		Old  any    `json:"old"`
		New  any    `json:"new"`
	} `json:"changed"`
	Projected     []Projection `json:"projected"`
	BoundMessages float64      `json:"bound_messages"`
	Warnings      []string     `json:"warnings"`
	Shadowed      []string     `json:"shadowed"`
	Operation     string       `json:"operation"`
}

// Projection is what an analyzer gets after a change.
type Projection struct {
	ID                string  `json:"id"`
	Share             float64 `json:"share"`
	MessagesPerSecond float64 `json:"messages_per_s"`
	ObservedPace      float64 `json:"observed_pace"`
	Load              float64 `json:"load"`
}

// Analyzers reads all analyzers.
func (c *Client) Analyzers(ctx context.Context) (Analyzers, error) {
	var all Analyzers
	return all, c.Get(ctx, Path("analyzers"), nil, &all)
}
