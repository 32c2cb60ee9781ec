package main

import "context"

// deployment is a running system: a distributor and three analyzers.
type deployment interface {
	up(ctx context.Context) error
	down()
	// kill sends SIGKILL to an analyzer; start restarts it.
	kill(ctx context.Context, analyzer string) error
	start(ctx context.Context, analyzer string) error
	// stopDistributor stops it gracefully and reports how it ended.
	stopDistributor(ctx context.Context) error
	// ingest and metrics are the distributor's base URLs.
	ingest() string
	metrics() string
	// analyzer is an analyzer's base URL.
	analyzer(name string) string
}

// shares are the analyzers' configured shares of messages.
var shares = map[string]float64{"analyzer-1": 0.5, "analyzer-2": 0.3, "analyzer-3": 0.2}

// names are the analyzers in the order of their weights.
var names = []string{"analyzer-1", "analyzer-2", "analyzer-3"}
