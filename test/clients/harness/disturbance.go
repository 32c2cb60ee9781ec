package harness

import (
	"flag"
	"time"
)

var judge = flag.Bool("judge", false, "let the analyzer hang for ten seconds instead of one, and send all of what is hostile")

// Judge reports whether tests are to run at length.
func Judge() bool { return *judge }

// Disturbance is what happens while a client sends.
type Disturbance struct {
	Name string
	// Env are settings of the distributor.
	Env    []string
	Happen func(*Distributor)
}

// Disturbances are that nothing happens, that the analyzer hangs, that it does and the queues are
// full, and that the distributor is killed and started again.
func Disturbances() []Disturbance {
	return []Disturbance{
		{"usual", nil, func(*Distributor) {}},
		{"hangs", nil, hang},
		{"full", []string{"INGEST_BUFFER_SIZE=3", "PER_ANALYZER_QUEUE_SIZE=3"}, hang},
		{"killed", []string{"JOURNAL=disk"}, (*Distributor).Restart},
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
