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

// width is how many columns every terminal has. A line that is longer would take
// two, and the table would not be drawn over the one before.
const width = 80

// view draws the table; on a terminal each over the one before.
type view struct {
	screen Screen
	start  time.Time
	lines  int              // of the table drawn last
	shown  string           // that table, without the time and latencies
	before map[string]int64 // messages by analyzer, then
}

func newView(screen Screen) *view {
	return &view{screen: screen, start: time.Now()}
}

// draw shows how things are.
func (v *view) draw(status distributor.Status, report emitter.Report) {
	v.show(v.table(status, report))
}

// drawLast shows how things ended, unless the table that was drawn last shows
// that already.
func (v *view) drawLast(status distributor.Status, report emitter.Report) {
	if counts(status, report) == v.shown {
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

// say prints a line above the table.
func (v *view) say(format string, args ...any) {
	v.erase()
	_, _ = fmt.Fprintf(v.screen.Out, "%5.1f s: %s\n", v.elapsed(), fmt.Sprintf(format, args...))
}

func (v *view) elapsed() float64 { return time.Since(v.start).Seconds() }

// counts is what must differ for another table to be worth drawing.
func counts(status distributor.Status, report emitter.Report) string {
	text := fmt.Sprintln(report.Packets, report.Messages)
	for _, a := range status.Analyzers {
		text += fmt.Sprintln(a.ID, a.Held(), waiting(a), a.Health)
	}
	return text
}

// waiting is how many packets are bound to the analyzer and not delivered.
func waiting(a distributor.AnalyzerStatus) int64 { return a.Queued.Packets + a.InFlight.Packets }

func (v *view) table(status distributor.Status, report emitter.Report) string {
	v.shown = counts(status, report)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%5.1f s  sent %d packets (%d messages)\n", v.elapsed(), report.Packets.Generated, report.Messages.Generated)
	fmt.Fprintf(&out, "         accepted %d, refused %d, answered in %v (p50), %v (p99)\n",
		report.Packets.Accepted, report.Packets.Refused, round(report.Latency.P50), round(report.Latency.P99))
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "ANALYZER\tWEIGHT\tNOW\tSHARE\tMESSAGES\tOFF BY\tQUEUE\tHEALTH\t")
	now, all := make(map[string]int64), int64(0)
	var recent int64
	for _, a := range status.Analyzers {
		now[a.ID] = a.Held().Messages
		all += now[a.ID]
		recent += now[a.ID] - v.before[a.ID]
	}
	for _, a := range status.Analyzers {
		_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\t%s\t%d\t%+.0f\t%d\t%s\t\n", shortened(a.ID), 100*a.Target,
			percent(now[a.ID]-v.before[a.ID], recent), percent(now[a.ID], all), now[a.ID], math.Round(-a.DeviationMessages)+0, // +0: no -0
			waiting(a), a.Health)
	}
	_ = table.Flush()
	out.WriteByte('\n')
	v.before = now
	return out.String()
}

// shortened is an id of which no more is shown than there is room for.
func shortened(id string) string {
	const longest = 12
	if utf8.RuneCountInString(id) <= longest {
		return id
	}
	return string([]rune(id)[:longest-1]) + "…"
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

// round leaves three digits or so.
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
