//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// standings is the table of targets: one row each.
func (r Report) standings() [][]string {
	rows := [][]string{{"case", "target", "measured", "standing"}}
	for _, c := range r.Cases {
		for _, v := range c.Verdicts {
			rows = append(rows, []string{c.Title, v.Target, v.figure(), v.Standing})
		}
	}
	return rows
}

// figure is what was measured, with its spread, and what there is to say.
func (v Verdict) figure() string {
	var parts []string
	if v.Measured != nil {
		parts = append(parts, v.Measured.String())
	}
	if v.Reason != "" {
		parts = append(parts, v.Reason)
	}
	return strings.Join(parts, "; ")
}

// String shows the median and, in brackets, the least and the most.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Least), figure(s.Most))
}

// figure shows three digits that matter.
func figure(value float64) string {
	switch size := math.Abs(value); {
	case size >= 100:
		return grouped(int64(math.Round(value)))
	case size >= 10:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.2f", value)
	}
}

// grouped writes 1234567 as 1,234,567; value is not negative.
func grouped(value int64) string {
	if value < 1000 {
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%s,%03d", grouped(value/1000), value%1000)
}

// figures is the table of raw figures of a case.
func (c CaseReport) figures() [][]string {
	head := []string{"who", "µs a packet", "µs a request", "ns a message", "packets/s", "messages/s", "p50 µs", "p99 µs", "MB", "refused", "again", "× " + c.base}
	if c.isLadder() {
		head = slices.Insert(head, 0, "rung")
	}
	rows := [][]string{head}
	for _, result := range c.Results {
		for _, s := range result.Series {
			row := s.figures(c.measure, result.of(c.base))
			if c.isLadder() {
				row = slices.Insert(row, 0, result.Rung)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func (c CaseReport) isLadder() bool { return len(c.Results) > 1 }

// figures is a series' row, with its ratio to base; a series that is worth
// nothing shows why, and no figure.
func (s Series) figures(m measure, base Series) []string {
	if !s.usable() {
		reason := "skipped: " + s.Skipped
		if s.Fault != "" {
			reason = "invalid: " + s.Fault
		}
		return append(append([]string{s.Subject}, make([]string, 10)...), reason)
	}
	row := []string{s.Subject}
	for _, one := range []measure{perPacket, perRequest, perMessage} {
		row = append(row, spreadOf(s.values(one)).String())
	}
	for _, one := range []measure{packetRate, messageRate, usualAnswer, slowest, memory} {
		row = append(row, figure(spreadOf(s.values(one)).Median))
	}
	var refused, again int64
	for _, sample := range s.Samples {
		refused += sample.Refused
		again += sample.Duplicates
	}
	row = append(row, grouped(refused), grouped(again))
	if !base.usable() || s.Subject == base.Subject {
		return append(row, "")
	}
	return append(row, spreadOf(ratios(s.values(m), base.values(m))).String())
}

// heading tells what was run where.
func (r Report) heading() string {
	var versions []string
	for program, version := range r.Machine.Versions {
		versions = append(versions, program+" "+strings.TrimPrefix(version, program))
	}
	slices.Sort(versions)
	median, worst := r.disturbance()
	return fmt.Sprintf("%d rounds of %g s on %s, %d cores, Linux %s, %s; %s. Medians, with the least and the most of all rounds in brackets. "+
		"Other programs took %.0f %% of the two cores in the median round and %.0f %% in the worst; the less, the more the rates and the times until the answer are worth.",
		r.Rounds, r.RoundSeconds, r.Machine.Processor, r.Machine.Cores, r.Machine.Kernel,
		strings.Join(versions, ", "), r.Time.Format("2006-01-02"), median, worst)
}

// writeText writes the report for a terminal.
func writeText(w io.Writer, r Report) error {
	_, _ = fmt.Fprintln(w, r.heading())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.Cases {
		if len(c.Results) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(table, "\n%s (%s; the ratio is of %s)\n", c.Title, c.Name, c.measure.name)
		for _, row := range c.figures() {
			_, _ = fmt.Fprintln(table, "  "+strings.Join(row, "\t"))
		}
		_ = table.Flush()
	}
	_, _ = fmt.Fprintf(table, "\nTargets\n")
	for _, row := range r.standings() {
		_, _ = fmt.Fprintln(table, "  "+strings.Join(row, "\t"))
	}
	return table.Flush()
}

// writeMarkdown writes the report as Markdown tables.
func writeMarkdown(w io.Writer, r Report) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", r.heading())
	markdownTable(&text, r.standings())
	for _, c := range r.Cases {
		if len(c.Results) > 0 {
			fmt.Fprintf(&text, "\n**%s** (the ratio is of %s)\n\n", c.Title, c.measure.name)
			markdownTable(&text, c.figures())
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func markdownTable(text *strings.Builder, rows [][]string) {
	for i, row := range rows {
		text.WriteString("|")
		for _, cell := range row {
			fmt.Fprintf(text, " %s |", strings.NewReplacer("|", "\\|", "\n", " ").Replace(cell))
		}
		text.WriteString("\n")
		if i == 0 {
			text.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
}
