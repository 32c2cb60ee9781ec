package demo

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
)

// view draws the table; on a terminal each over the one before.
type view struct {
	screen Screen
	start  time.Time
	lines  int              // of the table drawn last
	before map[string]int64 // messages by analyzer, then
}

func newView(screen Screen) *view {
	return &view{screen: screen, start: time.Now()}
}

func (v *view) draw(status distributor.Status, report emitter.Report) {
	text := v.table(status, report)
	if v.screen.Terminal && v.lines > 0 {
		_, _ = fmt.Fprintf(v.screen.Out, "\x1b[%dA\x1b[J", v.lines)
	}
	_, _ = fmt.Fprint(v.screen.Out, text)
	v.lines = strings.Count(text, "\n")
}

// say prints a line above the table.
func (v *view) say(format string, args ...any) {
	if v.screen.Terminal && v.lines > 0 {
		_, _ = fmt.Fprintf(v.screen.Out, "\x1b[%dA\x1b[J", v.lines)
	}
	_, _ = fmt.Fprintf(v.screen.Out, "%5.1f s: %s\n", time.Since(v.start).Seconds(), fmt.Sprintf(format, args...))
	v.lines = 0
}

func (v *view) table(status distributor.Status, report emitter.Report) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%5.1f s  sent %d packets, %d messages  accepted %d  refused %d  p50 %v  p99 %v\n",
		time.Since(v.start).Seconds(), report.Packets.Generated, report.Messages.Generated,
		report.Packets.Accepted, report.Packets.Refused, round(report.Latency.P50), round(report.Latency.P99))
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "ANALYZER\tWEIGHT\tSHARE NOW\tSHARE\tMESSAGES\tOFF SHARE BY\tQUEUE\tHEALTH\t")
	now, all := make(map[string]int64), int64(0)
	var recent int64
	for _, a := range status.Analyzers {
		now[a.ID] = a.Held().Messages
		all += now[a.ID]
		recent += now[a.ID] - v.before[a.ID]
	}
	for _, a := range status.Analyzers {
		_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\t%s\t%d\t%+.1f\t%d\t%s\t\n", a.ID, 100*a.Target,
			percent(now[a.ID]-v.before[a.ID], recent), percent(now[a.ID], all), now[a.ID], -a.DeviationMessages,
			a.Queued.Packets+a.InFlight.Packets, a.Health)
	}
	_ = table.Flush()
	out.WriteByte('\n')
	v.before = now
	return out.String()
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
