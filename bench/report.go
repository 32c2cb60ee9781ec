//go:build linux

package main

import (
	"encoding/json"
	"io"
	"time"
)

// Report is the result of a run.
type Report struct {
	Time         time.Time    `json:"time"`
	Machine      Machine      `json:"machine"`
	Rounds       int          `json:"rounds"`
	RoundSeconds float64      `json:"round_seconds"`
	Cases        []CaseReport `json:"cases"`
}

// CaseReport is the result of one case.
type CaseReport struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Results  []Result  `json:"results,omitempty"`
	Verdicts []Verdict `json:"verdicts"`

	measure measure
	base    string // the subject of comparison
}

// Result is the result of one experiment: a series of rounds for each subject.
type Result struct {
	// Step names the experiment within a sweep.
	Step   string   `json:"rung,omitempty"`
	Series []Series `json:"series"`
}

// Series is the rounds of one subject. Without Samples it was skipped; with
// Fault its figures are invalid.
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
	// Packets and Messages were accepted and arrived.
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
	// Refused counts packets refused for lack of capacity.
	Refused int64 `json:"refused"`
	// Duplicates counts packets that arrived again.
	Duplicates int64 `json:"duplicates"`
	// Seconds is the time from the first request to the last delivery.
	Seconds float64 `json:"seconds"`
	// ProcessorSeconds is the subject's, LoadSeconds the load's and analyzers'.
	ProcessorSeconds float64 `json:"processor_seconds"`
	LoadSeconds      float64 `json:"load_seconds"`
	// OtherSeconds is the busy time of the two cores for other programs.
	OtherSeconds float64 `json:"other_seconds"`
	// Offered is the rate in requests per second, 0 in a closed loop.
	Offered float64 `json:"offered,omitempty"`
	// P50, P99 and P999 are response times in microseconds.
	P50  float64 `json:"p50_microseconds"`
	P99  float64 `json:"p99_microseconds"`
	P999 float64 `json:"p999_microseconds"`
	// ResidentBytes is the peak so far.
	ResidentBytes int64 `json:"resident_bytes"`
	// StartSeconds is the time from the start of the subject's process until it was ready, and
	// IdleBytes the memory that it had then, without the pages of its program file.
	StartSeconds float64 `json:"start_seconds"`
	IdleBytes    int64   `json:"idle_bytes"`
}

// measure is a figure derived from a sample.
type measure struct {
	name string
	unit string
	of   func(Sample) float64
}

var (
	perPacket = measure{"processor time per packet", "µs", func(s Sample) float64 {
		return 1e6 * s.ProcessorSeconds / float64(s.Packets)
	}}
	perRequest = measure{"processor time per request", "µs", func(s Sample) float64 {
		return 1e6 * s.ProcessorSeconds / float64(s.Packets) * float64(s.RequestPackets)
	}}
	perMessage = measure{"processor time per message", "ns", func(s Sample) float64 {
		return 1e9 * s.ProcessorSeconds / float64(s.Messages)
	}}
	packetRate = measure{"packets per second", "/s", func(s Sample) float64 {
		return float64(s.Packets) / s.Seconds
	}}
	messageRate = measure{"messages per second", "/s", func(s Sample) float64 {
		return float64(s.Messages) / s.Seconds
	}}
	subjectCores = measure{"cores used by the subject", "", func(s Sample) float64 {
		return s.ProcessorSeconds / s.Seconds
	}}
	loadCores = measure{"cores used by the load and the analyzers", "", func(s Sample) float64 {
		return s.LoadSeconds / s.Seconds
	}}
	medianResponse = measure{"median response time", "µs", func(s Sample) float64 { return s.P50 }}
	p99Response    = measure{"p99 response time", "µs", func(s Sample) float64 { return s.P99 }}
	p999Response   = measure{"p99.9 response time", "µs", func(s Sample) float64 { return s.P999 }}
	startTime      = measure{"time until ready", "ms", func(s Sample) float64 { return 1e3 * s.StartSeconds }}
	idleMemory     = measure{"idle memory, without the program file", "MB", func(s Sample) float64 {
		return float64(s.IdleBytes) / (1 << 20)
	}}
	peakMemory = measure{"resident memory, peak", "MB", func(s Sample) float64 {
		return float64(s.ResidentBytes) / (1 << 20)
	}}
)

// usable reports whether the series has valid figures.
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

// otherShare returns the share of the two cores, in percent, used by other
// programs, in the median and the worst round.
func (r Report) otherShare() (median, worst float64) {
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
	return all.Median, all.Max
}

// faults returns the invalid series.
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
