package simulate

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Result is what came of a simulation.
type Result struct {
	Policy string
	// Accepted, Refused and Left count packets; those left were not delivered at the end.
	Accepted, Refused, Left int
	// LongestQueue is the largest number of packets that were accepted and not delivered.
	LongestQueue int
	P99Wait      time.Duration // from acceptance to delivery
	// Bound is the maximum of the maximum deviation in messages; 0: the policy has none.
	Bound     float64
	Analyzers []AnalyzerResult
}

// AnalyzerResult is the part of an analyzer.
type AnalyzerResult struct {
	ID string
	// Target is the configured share, Share that of the routed messages.
	Target, Share float64
	Messages      int64 // routed
	// FurthestOff is the maximum deviation from the share in messages since the set of
	// eligible analyzers changed.
	FurthestOff  float64
	LongestQueue int // packets
	P99Wait      time.Duration
}

// WriteTable writes results as a table.
func WriteTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "POLICY\tANALYZER\tTARGET\tSHARE\tFURTHEST OFF\tBOUND\tLONGEST QUEUE\tP99 WAIT\tREFUSED\tLEFT")
	for _, r := range results {
		furthest := 0.0
		for _, a := range r.Analyzers {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%.1f %%\t%.1f %%\t%.1f\t%s\t%d\t%v\t\t\n",
				r.Policy, a.ID, 100*a.Target, 100*a.Share, a.FurthestOff, r.bound(), a.LongestQueue, a.P99Wait)
			furthest = max(furthest, a.FurthestOff)
		}
		_, _ = fmt.Fprintf(table, "%s\tall\t\t\t%.1f\t%s\t%d\t%v\t%d\t%d\n", r.Policy, furthest, r.bound(), r.LongestQueue, r.P99Wait, r.Refused, r.Left)
	}
	return table.Flush()
}

func (r Result) bound() string {
	if r.Bound == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", r.Bound)
}
