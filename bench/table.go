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

// targetRows is the table of targets, one row each.
func (r Report) targetRows() [][]string {
	rows := [][]string{{"case", "target", "measured", "status"}}
	for _, c := range r.Cases {
		for _, v := range c.Verdicts {
			rows = append(rows, []string{c.Title, v.Target, v.figure(), v.Status})
		}
	}
	return rows
}

// figure is the measured spread and the reason.
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

// String formats the median and, in brackets, minimum and maximum.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

// figure formats three significant digits.
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
	head := []string{"subject", "µs/packet", "µs/request", "ns/message", "packets/s", "messages/s", "p50 µs", "p99 µs", "MB", "refused", "duplicates", "× " + c.base}
	if c.isSweep() {
		head = slices.Insert(head, 0, "step")
	}
	rows := [][]string{head}
	for _, result := range c.Results {
		for _, s := range result.Series {
			row := s.figures(c.measure, result.of(c.base))
			if c.isSweep() {
				row = slices.Insert(row, 0, result.Step)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func (c CaseReport) isSweep() bool { return len(c.Results) > 1 }

// figures is the row of a series, with its ratio to base; an invalid series
// shows the reason and no figure.
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
	for _, one := range []measure{packetRate, messageRate, medianResponse, p99Response, peakMemory} {
		median := "–" // there are no responses, or no process
		if value := spreadOf(s.values(one)).Median; value != 0 {
			median = figure(value)
		}
		row = append(row, median)
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

// heading describes the run and the machine.
func (r Report) heading() string {
	var versions []string
	for program, version := range r.Machine.Versions {
		versions = append(versions, program+" "+strings.TrimPrefix(version, program))
	}
	slices.Sort(versions)
	median, worst := r.otherShare()
	return fmt.Sprintf("%d rounds of %g s on %s, %d cores, Linux %s, %s; %s. Medians, with minimum and maximum of all rounds in brackets. "+
		"Other programs took %.0f %% of the two cores in the median round and %.0f %% in the worst; rates and response times are more reliable at low values.",
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
	for _, row := range r.targetRows() {
		_, _ = fmt.Fprintln(table, "  "+strings.Join(row, "\t"))
	}
	return table.Flush()
}

// writeMarkdown writes the report as Markdown tables.
func writeMarkdown(w io.Writer, r Report) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", r.heading())
	markdownTable(&text, r.targetRows())
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
