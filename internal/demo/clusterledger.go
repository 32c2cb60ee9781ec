package demo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/logstreamer/logstreamer/internal/emitter"
)

// clusterLedger holds the counters of a whole cluster.
type clusterLedger struct {
	emitters    emitter.Report
	arrived     arrived
	duplicates  int64
	stored      int64 // envelopes, negative if unknown
	killed      string
	unaccounted int64 // messages, of all distributors that run
	failed      error // of processes that ended by themselves
	interrupted bool  // while packets were still to be delivered
}

func (c *cluster) ledger(ctx context.Context, reports []emitter.Report) clusterLedger {
	interrupted := ctx.Err() != nil
	c.poll(context.WithoutCancel(ctx))
	l := clusterLedger{emitters: clusterReport(reports), arrived: c.arrivals.sum(), stored: c.stored, interrupted: interrupted && !c.isIdle()}
	l.duplicates = c.duplicates(l.arrived)
	if c.config.KillAfter > 0 {
		l.killed = c.distributors[0].name
	}
	for _, d := range c.distributors {
		l.unaccounted += d.ledger.Unaccounted
		if d.state() == "ended" {
			l.failed = errors.Join(l.failed, d.process.failure("has ended"))
		}
	}
	if !c.nats.isRunning() {
		l.failed = errors.Join(l.failed, c.nats.failure("has ended"))
	}
	return l
}

// printClusterLedger prints the ledger and returns an error when it does not balance.
func printClusterLedger(out io.Writer, l clusterLedger) error {
	e := l.emitters
	_, _ = fmt.Fprintln(out, "The ledger of the whole, in packets (messages):")
	row := func(format string, args ...any) { _, _ = fmt.Fprint(out, wrapTerms(fmt.Sprintf(format, args...))) }
	row("sent      %d (%d) = accepted %d (%d) + refused %d (%d) + given up %d (%d) + left %d (%d)",
		e.Packets.Generated, e.Messages.Generated, e.Packets.Accepted, e.Messages.Accepted,
		e.Packets.Refused, e.Messages.Refused, e.Packets.GaveUp, e.Messages.GaveUp, e.Packets.Left, e.Messages.Left)
	missing, more := l.missing()
	what := "unaccounted"
	if l.interrupted {
		what = "still to be delivered"
	}
	row("accepted  %d (%d) = delivered %d (%d) + %s %d", e.Packets.Accepted, e.Messages.Accepted, l.arrived.numbers-more, l.arrived.messages, what, missing)
	if more > 0 {
		row("          %d more were delivered whose emitter got no answer", more)
	}
	l.printDuplicates(out)
	return printBalance(out, l.check())
}

// missing returns the accepted packets that did not arrive, and those that arrived although
// they were not accepted: their emitter got no response, and was stopped before it sent them
// again.
func (l clusterLedger) missing() (missing, more int64) {
	difference := l.emitters.Packets.Accepted - l.arrived.numbers
	return max(difference, 0), max(-difference, 0)
}

func (l clusterLedger) printDuplicates(out io.Writer) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, "  "+format+"\n", args...) }
	line("twice     %d, delivered once more than accepted", l.duplicates)
	if l.duplicates == 0 {
		return
	}
	if l.killed != "" {
		line("          %s had delivered them when it was killed, and the", l.killed)
		line("          streams had no acknowledgement yet; or it had stored them, and")
	} else {
		line("          a distributor had stored them, and")
	}
	again := l.emitters.Retries.Reset + l.emitters.Retries.Timeout
	line("          their emitters got no answer and sent them again (%d packets)", again)
}

func (l clusterLedger) check() error {
	if l.interrupted {
		return errors.New("it was interrupted before everything was delivered")
	}
	e := l.emitters
	failures := []error{l.failed}
	require := func(ok bool, format string, args ...any) {
		if !ok {
			failures = append(failures, fmt.Errorf(format, args...))
		}
	}
	sum := e.Packets.Accepted + e.Packets.Refused + e.Packets.GaveUp + e.Packets.Left
	require(e.Packets.Generated == sum, "%d packets sent, but %d accounted for", e.Packets.Generated, sum)
	missing, more := l.missing()
	require(missing == 0, "%d accepted packets did not arrive", missing)
	unaccepted := e.Packets.Generated - e.Packets.Accepted
	require(more <= unaccepted, "%d packets arrived that were not sent", more-unaccepted)
	require(more > 0 || missing > 0 || l.arrived.messages == e.Messages.Accepted, "%d messages arrived of %d accepted", l.arrived.messages, e.Messages.Accepted)
	require(l.stored == 0, "%d envelopes are left in the streams (-1: the server does not answer)", l.stored)
	require(l.unaccounted == 0, "%d messages are unaccounted for at the distributors", l.unaccounted)
	return errors.Join(failures...)
}
