package harness

import (
	"flag"
	"time"
)

var judge = flag.Bool("judge", false, "let the analyzer hang for ten seconds instead of one, and send all of what is hostile")

// Judge reports whether tests run at length.
func Judge() bool { return *judge }

// Disturbance is an event while a client sends.
type Disturbance struct {
	Name string
	// Env are settings of the distributor.
	Env    []string
	Happen func(*Distributor)
}

// Disturbances are: no event, the analyzer hangs, the analyzer hangs and the queues are full, the
// distributor is killed and restarted, and it is upgraded.
func Disturbances() []Disturbance {
	return []Disturbance{
		{"usual", nil, func(*Distributor) {}},
		{"hangs", nil, hang},
		{"full", []string{"INGEST_BUFFER_SIZE=3", "PER_ANALYZER_QUEUE_SIZE=3"}, hang},
		{"killed", []string{"JOURNAL=disk"}, (*Distributor).Restart},
		{"upgraded", nil, (*Distributor).Upgrade},
	}
}

func hang(d *Distributor) {
	duration := time.Second
	if *judge {
		duration = 10 * time.Second
	}
	d.Analyzer.Hang()
	time.AfterFunc(duration, d.Analyzer.Resume)
}
