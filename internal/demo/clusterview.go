package demo

import (
	"bytes"
	"fmt"
	"text/tabwriter"

	"github.com/logstreamer/logstreamer/internal/emitter"
)

// clusterReport is the sum of the emitters' reports. Its latency is that of the emitter that
// waited longest.
func clusterReport(reports []emitter.Report) (sum emitter.Report) {
	for _, r := range reports {
		sum.Packets, sum.Messages = plus(sum.Packets, r.Packets), plus(sum.Messages, r.Messages)
		sum.Retries.Connect += r.Retries.Connect
		sum.Retries.Reset += r.Retries.Reset
		sum.Retries.Timeout += r.Retries.Timeout
		sum.Retries.RateLimited += r.Retries.RateLimited
		sum.Retries.Unavailable += r.Retries.Unavailable
		sum.Retries.ServerError += r.Retries.ServerError
		sum.Latency.P99 = max(sum.Latency.P99, r.Latency.P99)
	}
	return sum
}

// table returns a table. The reports of senders are read after the arrivals, so that no packet
// arrives before it is counted as sent.
func (c *cluster) table(reports func() []emitter.Report) string {
	arrived := c.arrivals.sum()
	sum := clusterReport(reports())
	c.view.lastCounts = c.counts(sum)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%5.1f s  sent %d packets (%d messages), accepted %d\n", c.view.elapsed(), sum.Packets.Generated, sum.Messages.Generated, sum.Packets.Accepted)
	stored := "unknown"
	if c.stored >= 0 {
		stored = fmt.Sprint(c.stored, " envelopes")
	}
	fmt.Fprintf(&out, "         delivered %d, %d duplicates; in the streams: %s\n", arrived.numbers, c.duplicates(arrived), stored)
	fmt.Fprintf(&out, "         sent again %d, answered within %v (p99 of the slowest emitter)\n", sum.Retries.Total(), round(sum.Latency.P99))
	c.writeDistributors(&out)
	c.writeAnalyzers(&out)
	out.WriteByte('\n')
	return out.String()
}

// counts returns the figures whose change is worth another table.
func (c *cluster) counts(sum emitter.Report) string {
	arrived := c.arrivals.sum()
	return fmt.Sprintln(sum.Packets, arrived.numbers, c.duplicates(arrived), c.stored)
}

func (c *cluster) writeDistributors(out *bytes.Buffer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "DISTRIBUTOR\tSTATE\tEMITTERS\tACCEPTED/S\tDELIVERED/S\tHOLDS\t")
	homes := c.emittersByDistributor(func(d *clusterDistributor) bool { return d.up })
	for i, d := range c.distributors {
		if !d.up {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t–\t–\t–\t\n", d.name, d.state(), homes[i])
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t\n", d.name, d.state(), homes[i], d.accepts, d.delivers, d.holds())
	}
	_ = table.Flush() // a buffer has no errors
}

func (c *cluster) writeAnalyzers(out *bytes.Buffer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "ANALYZER\tWEIGHT\tNOW\tSHARE\tMESSAGES\t")
	now, all, recent := make(map[string]int64), int64(0), int64(0)
	for i := range weights {
		id := analyzerID(i)
		now[id] = c.analyzers.of(i).messages
		all, recent = all+now[id], recent+now[id]-c.view.lastMessages[id]
	}
	for i, weight := range weights {
		id := analyzerID(i)
		_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\t%s\t%d\t\n", id, 100*weight, percent(now[id]-c.view.lastMessages[id], recent), percent(now[id], all), now[id])
	}
	_ = table.Flush() // a buffer has no errors
	c.view.lastMessages = now
}

// duplicates counts the packets that arrived again, at the same analyzer or at another one.
func (c *cluster) duplicates(arrived arrived) int64 {
	return arrived.again + c.analyzers.total().duplicates
}
