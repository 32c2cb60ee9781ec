package demo

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// balanced returns a ledger in which every term is positive.
func balanced() ledger {
	return ledger{
		emitter: emitter.Report{
			Packets:  emitter.Outcome{Generated: 100, Accepted: 90, Refused: 5, GaveUp: 3, Left: 2},
			Messages: emitter.Outcome{Generated: 1000, Accepted: 900, Refused: 50, GaveUp: 30, Left: 20},
			Lines:    emitter.Lines{Read: 1001, Empty: 1, Accepted: 900, Refused: 50, GaveUp: 30, Left: 20},
		},
		distributor: distributor.Status{
			Accepted:     packet.Volume{Packets: 90, Messages: 900, Bytes: 9000},
			Delivered:    packet.Volume{Packets: 88, Messages: 880, Bytes: 8800},
			DeadLettered: packet.Volume{Packets: 2, Messages: 20, Bytes: 200},
		},
		analyzers: analyzerTotals{packets: 88, messages: 880},
	}
}

func TestLedgerBalances(t *testing.T) {
	for name, change := range map[string]func(*ledger){
		"as it is":        func(*ledger) {},
		"nothing":         func(l *ledger) { *l = ledger{} },
		"accepted twice":  func(l *ledger) { l.emitter.Packets.Accepted--; l.emitter.Packets.GaveUp++ },
		"processed twice": func(l *ledger) { l.analyzers.packets++; l.analyzers.messages += 10 },
	} {
		l := balanced()
		change(&l)
		if err := l.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLedgerFindsEachImbalance(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ledger)
		says   string
	}{
		"packet forgotten":     {func(l *ledger) { l.emitter.Packets.Generated++ }, "101 packets emitted, but 100"},
		"packet invented":      {func(l *ledger) { l.emitter.Packets.Left++ }, "100 packets emitted, but 101"},
		"message forgotten":    {func(l *ledger) { l.emitter.Messages.Refused-- }, "1000 messages emitted, but 999"},
		"message given up":     {func(l *ledger) { l.emitter.Messages.GaveUp++ }, "1000 messages emitted, but 1001"},
		"line forgotten":       {func(l *ledger) { l.emitter.Lines.Read++ }, "lines read"},
		"line invented":        {func(l *ledger) { l.emitter.Lines.Accepted++ }, "lines read"},
		"not accepted":         {func(l *ledger) { l.take(packet.Volume{Packets: 1}) }, "the distributor 89"},
		"messages cut":         {func(l *ledger) { l.take(packet.Volume{Messages: 1}) }, "the distributor 90 (899)"},
		"not delivered":        {func(l *ledger) { l.distributor.Delivered.Packets-- }, "left undelivered"},
		"delivered too much":   {func(l *ledger) { l.distributor.Delivered.Messages++ }, "left undelivered"},
		"dead letter lost":     {func(l *ledger) { l.distributor.DeadLettered.Bytes-- }, "left undelivered"},
		"unaccounted":          {func(l *ledger) { l.distributor.Unaccounted = -3 }, "-3 messages are unaccounted"},
		"packet not processed": {func(l *ledger) { l.analyzers.packets-- }, "processed 87 packets"},
		"message lost":         {func(l *ledger) { l.analyzers.messages-- }, "(879 messages)"},
	} {
		t.Run(name, func(t *testing.T) {
			l := balanced()
			c.change(&l)
			var out strings.Builder
			err := printLedger(&out, l)
			if err == nil || !strings.Contains(err.Error(), "does not balance") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
			if strings.Contains(out.String(), "It balances") || !strings.Contains(out.String(), "The ledger") {
				t.Errorf("printed %s", out.String())
			}
		})
	}
}

// take reduces what the distributor accepted and delivered.
func (l *ledger) take(v packet.Volume) {
	l.distributor.Accepted = l.distributor.Accepted.Minus(v)
	l.distributor.Delivered = l.distributor.Delivered.Minus(v)
}

func TestLedgerPrinted(t *testing.T) {
	var out strings.Builder
	if err := printLedger(&out, balanced()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"emitted   100 (1000) = accepted 90 (900) + refused 5 (50) + given up 3 (30) + left 2 (20)",
		"accepted  90 (900) = delivered 88 (880) + dead letters 2 (20) + left 0 (0)",
		"lines     1001 read = 900 sent + 1 empty + 50 refused + 30 given up + 20 left",
		"It balances.",
	} {
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(got, strings.Join(strings.Fields(line), " ")) {
			t.Errorf("%q is missing from\n%s", line, out.String())
		}
	}
}
