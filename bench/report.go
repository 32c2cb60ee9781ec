//go:build linux

package main

import (
	"encoding/json"
	"io"
	"time"
)

// Report is everything that a run has found.
type Report struct {
	Time         time.Time    `json:"time"`
	Machine      Machine      `json:"machine"`
	Rounds       int          `json:"rounds"`
	RoundSeconds float64      `json:"round_seconds"`
	Cases        []CaseReport `json:"cases"`
}

// CaseReport is what one case has found.
type CaseReport struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Results  []Result  `json:"results,omitempty"`
	Verdicts []Verdict `json:"verdicts"`

	measure measure
	base    string // the subject that others are compared with
}

// Result is one experiment's: a series of rounds for each subject.
type Result struct {
	// Rung tells the experiments of a ladder apart.
	Rung   string   `json:"rung,omitempty"`
	Series []Series `json:"series"`
}

// Series is one subject's rounds. Without Samples it was skipped, and with
// Fault its figures are worth nothing.
type Series struct {
	Subject string   `json:"subject"`
	Samples []Sample `json:"samples,omitempty"`
	Skipped string   `json:"skipped,omitempty"`
	Fault   string   `json:"fault,omitempty"`
}

// Sample is one round of one subject.
type Sample struct {
	// RequestPackets is the number of packets in a request.
	RequestPackets int `json:"request_packets"`
	// Packets and Messages were accepted, and arrived.
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
	// Refused counts packets that found no room.
	Refused int64 `json:"refused"`
	// Duplicates counts packets that arrived again.
	Duplicates int64 `json:"duplicates"`
	// Seconds is from the first request to the last delivery.
	Seconds float64 `json:"seconds"`
	// ProcessorSeconds is the subject's, LoadSeconds the load's and analyzers'.
	ProcessorSeconds float64 `json:"processor_seconds"`
	LoadSeconds      float64 `json:"load_seconds"`
	// OtherSeconds is what all else took of the two cores.
	OtherSeconds float64 `json:"other_seconds"`
	// Offered is the rate in requests a second, 0 in a closed loop.
	Offered float64 `json:"offered,omitempty"`
	// P50 and P99 are microseconds until the answer.
	P50 float64 `json:"p50_microseconds"`
	P99 float64 `json:"p99_microseconds"`
	// ResidentBytes is the most so far.
	ResidentBytes int64 `json:"resident_bytes"`
}

// measure is a figure of a sample.
type measure struct {
	name string
	unit string
	of   func(Sample) float64
}

var (
	perPacket = measure{"processor time a packet", "µs", func(s Sample) float64 {
		return 1e6 * s.ProcessorSeconds / float64(s.Packets)
	}}
	perRequest = measure{"processor time a request", "µs", func(s Sample) float64 {
		return 1e6 * s.ProcessorSeconds / float64(s.Packets) * float64(s.RequestPackets)
	}}
	perMessage = measure{"processor time a message", "ns", func(s Sample) float64 {
		return 1e9 * s.ProcessorSeconds / float64(s.Messages)
	}}
	packetRate = measure{"packets a second", "/s", func(s Sample) float64 {
		return float64(s.Packets) / s.Seconds
	}}
	messageRate = measure{"messages a second", "/s", func(s Sample) float64 {
		return float64(s.Messages) / s.Seconds
	}}
	usualAnswer = measure{"median of the answer", "µs", func(s Sample) float64 { return s.P50 }}
	slowest     = measure{"p99 of the answer", "µs", func(s Sample) float64 { return s.P99 }}
	memory      = measure{"resident memory, peak", "MB", func(s Sample) float64 {
		return float64(s.ResidentBytes) / (1 << 20)
	}}
)

// usable tells whether the series has figures that may be shown.
func (s Series) usable() bool { return s.Fault == "" && len(s.Samples) > 0 }

// values returns one figure of each round.
func (s Series) values(m measure) []float64 {
	values := make([]float64, len(s.Samples))
	for i, sample := range s.Samples {
		values[i] = m.of(sample)
	}
	return values
}

// of returns a subject's series.
func (r Result) of(subject string) Series {
	for _, s := range r.Series {
		if s.Subject == subject {
			return s
		}
	}
	return Series{Subject: subject, Skipped: "not part of the case"}
}

// disturbance returns the share of the two cores, in percent, that went to
// programs which have no part in the bench, in the median and the worst round.
func (r Report) disturbance() (median, worst float64) {
	var shares []float64
	for _, c := range r.Cases {
		for _, result := range c.Results {
			for _, s := range result.Series {
				shares = append(shares, s.values(measure{of: func(s Sample) float64 { return 50 * s.OtherSeconds / s.Seconds }})...)
			}
		}
	}
	if len(shares) == 0 {
		return 0, 0
	}
	all := spreadOf(shares)
	return all.Median, all.Most
}

// faults lists the series that are worth nothing.
func (r Report) faults() []Series {
	var faults []Series
	for _, c := range r.Cases {
		for _, result := range c.Results {
			for _, s := range result.Series {
				if s.Fault != "" {
					faults = append(faults, s)
				}
			}
		}
	}
	return faults
}

func writeJSON(w io.Writer, r Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
