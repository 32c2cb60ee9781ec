package demo

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// busyStatus returns a status with long ids and large numbers.
func busyStatus() (distributor.Status, emitter.Report) {
	var status distributor.Status
	for _, health := range []string{"warming up", "half-open", "healthy"} {
		one := distributor.AnalyzerStatus{MemberStats: router.MemberStats{ID: "analyzer-with-a-long-name.eu-central-1.example.com", Target: 1. / 3}, Status: upstream.Status{Health: health}}
		one.Routed = packet.Volume{Packets: 987654, Messages: 98765432}
		one.DeviationMessages = -987654.3
		one.Queued = packet.Volume{Packets: 987654}
		status.Analyzers = append(status.Analyzers, one)
	}
	outcome := emitter.Outcome{Generated: 987654, Accepted: 987654, Refused: 987654, GaveUp: 987654, Left: 987654}
	messages := emitter.Outcome{Generated: 98765432, Accepted: 98765432, Refused: 98765432, GaveUp: 98765432, Left: 98765432}
	return status, emitter.Report{Packets: outcome, Messages: messages, Latency: emitter.Latency{P50: 999999 * time.Microsecond, P99: 59999999 * time.Microsecond}}
}

// No line exceeds the terminal's width: it would wrap, and the next table would
// not overwrite all of it.
func TestOutputFitsTerminal(t *testing.T) {
	var out strings.Builder
	status, report := busyStatus()
	v := newView(Screen{Out: &out})
	v.start = time.Now().Add(-99999 * time.Second)
	v.draw(status, report)
	v.logLine("analyzer-1 is stopped for %v", 12345678*time.Millisecond)
	l := balanced()
	l.emitter.Packets, l.emitter.Messages = report.Packets, report.Messages
	l.emitter.Lines = emitter.Lines{Read: 98765432, Empty: 98765432, Accepted: 98765432, Refused: 98765432, GaveUp: 98765432, Left: 98765432}
	l.distributor.Accepted = packet.Volume{Packets: 987654, Messages: 98765432}
	l.distributor.DeadLettered = l.distributor.Accepted
	l.analyzers = analyzerTotals{987654, 98765432, 987654}
	_ = printLedger(&out, l) // says that it does not balance
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= Width {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
	if got := strings.Count(out.String(), "analyzer-wi…"); got != 3 {
		t.Errorf("%d shortened ids in\n%s", got, out.String())
	}
}

// An unchanged table is not drawn again.
func TestLastTableIsDrawnOnce(t *testing.T) {
	var out strings.Builder
	status, report := busyStatus()
	v := newView(Screen{Out: &out})
	v.draw(status, report)
	v.drawLast(status, report)
	if got := strings.Count(out.String(), "ANALYZER"); got != 1 {
		t.Errorf("drawn %d times", got)
	}
	status.Analyzers[0].Queued = packet.Volume{}
	v.drawLast(status, report)
	if got := strings.Count(out.String(), "ANALYZER"); got != 2 {
		t.Errorf("drawn %d times though a queue has run empty", got)
	}
	v.drawLast(distributor.Status{}, emitter.Report{})
	v = newView(Screen{Out: &out})
	v.drawLast(distributor.Status{}, emitter.Report{})
	if got := strings.Count(out.String(), "ANALYZER"); got != 4 {
		t.Errorf("drawn %d times: a first table is drawn in any case", got)
	}
}

// No table is drawn shortly before the final one.
func TestEndsSoon(t *testing.T) {
	for after, want := range map[time.Duration]bool{
		time.Second: false, 19 * time.Second: false, 19800 * time.Millisecond: true, 20 * time.Second: true, 22 * time.Second: false,
	} {
		if got := endsSoon(time.Now().Add(-after), 20*time.Second); got != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	if endsSoon(time.Now(), 0) {
		t.Error("what is endless ends")
	}
}

var queueColumn = regexp.MustCompile(`(?m)^ *analyzer-\d .* (\d+) +[a-z ]+$`)

// The last table agrees with the ledger: nothing is queued.
func TestLastTableAgreesWithTheLedger(t *testing.T) {
	config := DefaultConfig()
	config.Rate, config.PacketSize = 0, "1"
	config.Duration = 300 * time.Millisecond
	var out strings.Builder
	if err := Run(t.Context(), config, Screen{Out: &out}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	last := out.String()[strings.LastIndex(out.String(), "ANALYZER"):]
	rows := queueColumn.FindAllStringSubmatch(last, -1)
	if len(rows) != len(weights) {
		t.Fatalf("%d rows in\n%s", len(rows), last)
	}
	for _, row := range rows {
		if row[1] != "0" {
			t.Errorf("the last table shows a queue: %s", row[0])
		}
	}
	if sent := regexp.MustCompile(`sent (\d+) packets`).FindStringSubmatch(out.String()); sent == nil || !strings.Contains(last, "emitted   "+sent[1]+" ") {
		t.Errorf("the last table has other packets than the ledger:\n%s", out.String())
	}
}
