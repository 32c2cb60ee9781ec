package demo

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/emitter"
)

func balancedCluster() clusterLedger {
	return clusterLedger{
		emitters: emitter.Report{
			Packets:  emitter.Outcome{Generated: 100, Accepted: 100},
			Messages: emitter.Outcome{Generated: 1000, Accepted: 1000},
			Retries:  emitter.Retries{Connect: 5, Reset: 3, Timeout: 1},
		},
		arrived: arrived{numbers: 100, messages: 1000, again: 4}, duplicates: 7, killed: "distributor-1",
	}
}

func TestClusterLedger(t *testing.T) {
	var out strings.Builder
	if err := printClusterLedger(&out, balancedCluster()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"sent      100 (1000) = accepted 100 (1000) + refused 0 (0)", "accepted  100 (1000) = delivered 100 (1000) + unaccounted 0",
		"twice     7,", "distributor-1 had delivered them when it was killed", "sent them again (4 packets)", "It balances.",
	} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is missing from\n%s", text, out.String())
		}
	}
}

func TestClusterLedgerDoesNotBalance(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*clusterLedger)
		says   string
	}{
		"one is lost":                {func(l *clusterLedger) { l.arrived.numbers-- }, "1 accepted packets did not arrive"},
		"one that was not sent":      {func(l *clusterLedger) { l.arrived.numbers++ }, "1 packets arrived that were not sent"},
		"a message is lost":          {func(l *clusterLedger) { l.arrived.messages-- }, "999 messages arrived of 1000 accepted"},
		"the streams are not empty":  {func(l *clusterLedger) { l.stored = 2 }, "2 envelopes are left"},
		"the server does not answer": {func(l *clusterLedger) { l.stored = -1 }, "-1 envelopes"},
		"a distributor lost one":     {func(l *clusterLedger) { l.unaccounted = 9 }, "9 messages are unaccounted"},
		"a process ended":            {func(l *clusterLedger) { l.failed = errors.New("nats-server has ended") }, "nats-server has ended"},
		"sent and nowhere":           {func(l *clusterLedger) { l.emitters.Packets.Generated++ }, "101 packets sent, but 100 accounted for"},
		"interrupted":                {func(l *clusterLedger) { l.interrupted = true; l.arrived.numbers-- }, "interrupted before everything was delivered"},
	} {
		l := balancedCluster()
		c.change(&l)
		var out strings.Builder
		if err := printClusterLedger(&out, l); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(out.String(), "It balances") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}

// A packet whose emitter got no response, and was interrupted, may have arrived.
func TestClusterLedgerOfUnanswered(t *testing.T) {
	l := balancedCluster()
	l.emitters.Packets.Generated, l.emitters.Packets.Left = 101, 1
	l.arrived.numbers, l.arrived.messages = 101, 1010
	var out strings.Builder
	if err := printClusterLedger(&out, l); err != nil || !strings.Contains(out.String(), "1 more were delivered whose emitter got no answer") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Neither the ledger nor the tables of a cluster exceed the terminal's width.
func TestClusterFitsTerminal(t *testing.T) {
	var out strings.Builder
	l := balancedCluster()
	_, report := busyStatus()
	l.emitters.Packets, l.emitters.Messages, l.duplicates = report.Packets, report.Messages, 987654
	_ = printClusterLedger(&out, l) // says that it does not balance
	c := &cluster{view: newView(Screen{Out: &out}), arrivals: newArrivals("x"), analyzers: &analyzers{}, stored: 98765432}
	c.analyzers.stopped[0] = analyzerTotals{987654, 98765432, 987654}
	for _, up := range []bool{true, false} {
		d := &clusterDistributor{name: "distributor-9", isDown: true, up: up, accepts: 98765432, delivers: 98765432}
		d.ledger.Queued.Packets = 98765432
		c.distributors = append(c.distributors, d)
	}
	out.WriteString(c.table(func() []emitter.Report { return []emitter.Report{report} }))
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= Width {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
}
