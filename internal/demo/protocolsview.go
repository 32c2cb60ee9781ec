package demo

import (
	"bytes"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

func (d *protocolDemo) draw() { d.view.show(d.table(d.distributor.Status())) }

// drawLast draws the final table unless its counts were drawn already.
func (d *protocolDemo) drawLast() {
	if status := d.distributor.Status(); d.counts(status) != d.view.lastCounts {
		d.view.show(d.table(status))
	}
}

// counts returns the figures whose change is worth another table.
func (d *protocolDemo) counts(status distributor.Status) string {
	text := fmt.Sprintln(status.Accepted, status.Delivered, d.arrivals.sum().numbers, d.others.Load())
	for _, s := range d.senders {
		text += fmt.Sprintln(s.accepted.Load(), s.refused.Load())
	}
	return text
}

func (d *protocolDemo) table(status distributor.Status) string {
	d.view.lastCounts = d.counts(status)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%5.1f s  accepted %d packets (%d messages)\n", d.view.elapsed(), status.Accepted.Packets, status.Accepted.Messages)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "PROTOCOL\tREQUESTS\tREFUSED\tMESSAGES\tARRIVED\tTWICE\t")
	for _, s := range d.senders {
		arrived := d.arrivals.of(s.protocol.input)
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t\n", s.protocol.input, s.requests.Load(), s.refused.Load(), s.accepted.Load(), arrived.numbers, arrived.again)
	}
	_, _ = fmt.Fprintf(table, "others\t–\t–\t–\t%d\t–\t\n", d.others.Load())
	_ = table.Flush() // a buffer has no errors
	d.view.writeAnalyzers(&out, status)
	out.WriteByte('\n')
	return out.String()
}

// printLedger prints the ledger and returns an error when it does not balance.
func (d *protocolDemo) printLedger() error {
	out, status := d.view.screen.Out, d.distributor.Status()
	_, _ = fmt.Fprintln(out, "The ledger, in messages:")
	row := func(format string, args ...any) { _, _ = fmt.Fprint(out, wrapTerms(fmt.Sprintf(format, args...))) }
	for _, s := range d.senders {
		arrived, sent, accepted := d.arrivals.of(s.protocol.input), s.sent.Load(), s.accepted.Load()
		row("%-14s sent %d = accepted %d + left %d, arrived %d, twice %d", s.protocol.input, sent, accepted, sent-accepted, arrived.numbers, arrived.again)
	}
	left := status.Accepted.Minus(status.Delivered).Minus(status.DeadLettered)
	row("%-14s accepted %d = delivered %d + dead letters %d + left %d", "distributor", status.Accepted.Messages, status.Delivered.Messages, status.DeadLettered.Messages, left.Messages)
	return printBalance(out, d.check(status))
}

func (d *protocolDemo) check(status distributor.Status) error {
	var failures []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			failures = append(failures, fmt.Errorf(format, args...))
		}
	}
	for _, s := range d.senders {
		arrived, sent, accepted := d.arrivals.of(s.protocol.input), s.sent.Load(), s.accepted.Load()
		require(arrived.numbers >= accepted, "%s: %d of %d accepted messages did not arrive", s.protocol.input, accepted-arrived.numbers, accepted)
		require(arrived.numbers <= sent, "%s: %d messages arrived, and %d were sent", s.protocol.input, arrived.numbers, sent)
		// An analyzer that is stopped may have processed what it did not answer.
		require(arrived.again == 0 || d.config.KillAfter > 0 || d.config.Console, "%s: %d messages arrived twice", s.protocol.input, arrived.again)
	}
	require(status.Accepted == status.Delivered.Plus(status.DeadLettered), "accepted packets are left undelivered")
	require(status.DeadLettered.Messages == 0, "%d messages are dead letters", status.DeadLettered.Messages)
	require(status.Unaccounted == 0, "%d messages are unaccounted for", status.Unaccounted)
	return errors.Join(failures...)
}
