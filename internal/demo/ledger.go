package demo

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
)

// ledger holds the counters of each part.
type ledger struct {
	emitter     emitter.Report
	distributor distributor.Status
	analyzers   analyzerTotals
}

// printLedger prints the ledger and returns an error when it does not balance.
func printLedger(out io.Writer, l ledger) error {
	e, d := l.emitter, l.distributor
	left := d.Accepted.Minus(d.Delivered).Minus(d.DeadLettered)
	_, _ = fmt.Fprintln(out, "The ledger, in packets (messages):")
	row := func(format string, args ...any) { _, _ = fmt.Fprint(out, wrapTerms(fmt.Sprintf(format, args...))) }
	row("emitted   %d (%d) = accepted %d (%d) + refused %d (%d) + given up %d (%d) + left %d (%d)",
		e.Packets.Generated, e.Messages.Generated, e.Packets.Accepted, e.Messages.Accepted,
		e.Packets.Refused, e.Messages.Refused, e.Packets.GaveUp, e.Messages.GaveUp, e.Packets.Left, e.Messages.Left)
	row("accepted  %d (%d) = delivered %d (%d) + dead letters %d (%d) + left %d (%d)",
		d.Accepted.Packets, d.Accepted.Messages, d.Delivered.Packets, d.Delivered.Messages,
		d.DeadLettered.Packets, d.DeadLettered.Messages, left.Packets, left.Messages)
	row("analyzers %d (%d) processed; %d duplicate packets dropped",
		l.analyzers.packets, l.analyzers.messages, l.analyzers.duplicates)
	if lines := e.Lines; lines.Read > 0 {
		row("lines     %d read = %d sent + %d empty + %d refused + %d given up + %d left",
			lines.Read, lines.Accepted, lines.Empty, lines.Refused, lines.GaveUp, lines.Left)
	}
	return printBalance(out, l.check())
}

// printBalance prints that a ledger balances, or returns why it does not.
func printBalance(out io.Writer, failure error) error {
	if failure != nil {
		return fmt.Errorf("the ledger does not balance: %w", failure)
	}
	_, _ = fmt.Fprintln(out, "It balances.")
	return nil
}

// wrapTerms indents a sum and breaks it before terms that exceed the width.
func wrapTerms(sum string) string {
	const indent, continuation = "  ", "            "
	var out strings.Builder
	line := indent
	for i, term := range strings.Split(sum, " + ") {
		if i > 0 {
			term = "+ " + term
		}
		switch {
		case i == 0:
			line += term
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(term) < Width:
			line += " " + term
		default:
			out.WriteString(line + "\n")
			line = continuation + term
		}
	}
	out.WriteString(line + "\n")
	return out.String()
}

func (l ledger) check() error {
	e, d := l.emitter, l.distributor
	var failures []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			failures = append(failures, fmt.Errorf(format, args...))
		}
	}
	emitted := func(what string, o emitter.Outcome) {
		sum := o.Accepted + o.Refused + o.GaveUp + o.Left
		require(o.Generated == sum, "%d %s emitted, but %d accounted for", o.Generated, what, sum)
	}
	emitted("packets", e.Packets)
	emitted("messages", e.Messages)
	require(e.Lines.Balanced(), "lines read and lines sent differ")
	// A packet whose response the emitter did not get may be accepted twice.
	require(d.Accepted.Packets >= e.Packets.Accepted && d.Accepted.Messages >= e.Messages.Accepted,
		"the emitter counts %d packets (%d messages) accepted, the distributor %d (%d)",
		e.Packets.Accepted, e.Messages.Accepted, d.Accepted.Packets, d.Accepted.Messages)
	require(d.Accepted == d.Delivered.Plus(d.DeadLettered), "accepted packets are left undelivered")
	require(d.Unaccounted == 0, "%d messages are unaccounted for", d.Unaccounted)
	// A packet whose response the distributor did not get may be processed
	// twice.
	require(l.analyzers.packets >= d.Delivered.Packets && l.analyzers.messages >= d.Delivered.Messages,
		"the analyzers processed %d packets (%d messages), but %d (%d) were delivered",
		l.analyzers.packets, l.analyzers.messages, d.Delivered.Packets, d.Delivered.Messages)
	return errors.Join(failures...)
}
