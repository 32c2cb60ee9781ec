package demo

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
)

// Width is the width of a standard terminal. A longer line would wrap, and the
// table could not be redrawn in place.
const Width = 80

// view draws tables, in place on a terminal.
type view struct {
	screen       Screen
	start        time.Time
	lines        int              // of the last table
	lastCounts   string           // counts of the last table
	lastMessages map[string]int64 // messages by analyzer in the last table
}

func newView(screen Screen) *view {
	return &view{screen: screen, start: time.Now()}
}

// draw draws a table.
func (v *view) draw(status distributor.Status, report emitter.Report) {
	v.show(v.table(status, report))
}

// drawLast draws the final table unless its counts were drawn already.
func (v *view) drawLast(status distributor.Status, report emitter.Report) {
	if counts(status, report) == v.lastCounts {
		return
	}
	v.draw(status, report)
}

func (v *view) show(table string) {
	v.erase()
	_, _ = fmt.Fprint(v.screen.Out, table)
	v.lines = strings.Count(table, "\n")
}

func (v *view) erase() {
	if v.screen.Terminal && v.lines > 0 {
		_, _ = fmt.Fprintf(v.screen.Out, "\x1b[%dA\x1b[J", v.lines)
	}
	v.lines = 0
}

// logLine prints a line above the table.
func (v *view) logLine(format string, args ...any) {
	v.erase()
	_, _ = fmt.Fprintf(v.screen.Out, "%5.1f s: %s\n", v.elapsed(), fmt.Sprintf(format, args...))
}

func (v *view) elapsed() float64 { return time.Since(v.start).Seconds() }

// counts returns the figures whose change is worth another table.
func counts(status distributor.Status, report emitter.Report) string {
	text := fmt.Sprintln(report.Packets, report.Messages)
	for _, a := range status.Analyzers {
		text += fmt.Sprintln(a.ID, a.Held(), waiting(a), a.Health)
	}
	return text
}

// waiting returns the number of packets queued for or in flight to the
// analyzer.
func waiting(a distributor.AnalyzerStatus) int64 { return a.Queued.Packets + a.InFlight.Packets }

func (v *view) table(status distributor.Status, report emitter.Report) string {
	v.lastCounts = counts(status, report)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%5.1f s  sent %d packets (%d messages)\n", v.elapsed(), report.Packets.Generated, report.Messages.Generated)
	fmt.Fprintf(&out, "         accepted %d, refused %d, answered in %v (p50), %v (p99)\n",
		report.Packets.Accepted, report.Packets.Refused, round(report.Latency.P50), round(report.Latency.P99))
	v.writeAnalyzers(&out, status)
	out.WriteByte('\n')
	return out.String()
}

func (v *view) writeAnalyzers(out *bytes.Buffer, status distributor.Status) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "ANALYZER\tWEIGHT\tNOW\tSHARE\tMESSAGES\tOFF BY\tQUEUE\tHEALTH\t")
	now, all := make(map[string]int64), int64(0)
	var recent int64
	for _, a := range status.Analyzers {
		now[a.ID] = a.Held().Messages
		all += now[a.ID]
		recent += max(0, now[a.ID]-v.lastMessages[a.ID]) // it may have given packets back
	}
	for _, a := range status.Analyzers {
		_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\t%s\t%d\t%+.0f\t%d\t%s\t\n", truncatedID(a.ID), 100*a.Target,
			percent(now[a.ID]-v.lastMessages[a.ID], recent), percent(now[a.ID], all), now[a.ID], math.Round(-a.DeviationMessages)+0, // +0: no -0
			waiting(a), a.Health)
	}
	_ = table.Flush() // a buffer has no errors
	v.lastMessages = now
}

// truncatedID shortens an id to the width of its column.
func truncatedID(id string) string {
	const maxRunes = 12
	if utf8.RuneCountInString(id) <= maxRunes {
		return id
	}
	return string([]rune(id)[:maxRunes-1]) + "…"
}

func percent(part, whole int64) string {
	if whole <= 0 || part < 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

// round rounds to about three digits.
func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}
