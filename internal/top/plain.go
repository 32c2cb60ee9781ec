package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/ctl"
	"github.com/logstreamer/logstreamer/internal/printable"
)

// once prints the present state.
func once(ctx context.Context, client *adminclient.Client, o Options) error {
	detail, err := readDetail(ctx, client, 0)
	if err != nil {
		return err
	}
	return write(o, detail, time.Now())
}

// write prints a detail: as lines, or as one JSON object.
func write(o Options, d Detail, at time.Time) error {
	if o.JSON {
		text, err := d.encode(at)
		if err != nil {
			return err
		}
		_, err = o.Out.Write(append(printable.JSON(text), '\n'))
		return err
	}
	_, err := io.WriteString(o.Out, plain(d, at))
	return err
}

// plain returns a detail as lines for a log or a program: one for the whole, one for each
// analyzer, one for each event that is new.
func plain(d Detail, at time.Time) string {
	var text strings.Builder
	clock := at.UTC().Format(time.RFC3339)
	line := func(format string, args ...any) {
		text.WriteString(clock + " " + printable.String(fmt.Sprintf(format, args...)) + "\n")
	}
	s := d.Status
	reason := ""
	if s.Reason != "" {
		reason = " (" + s.Reason + ")"
	}
	line("%s%s: in %.0f messages/s, out %.0f messages/s, refused %.0f packets/s, undelivered %d packets, oldest %s, dead-lettered %d packets, unaccounted %d messages, revision %d",
		strings.Join(append([]string{s.State}, s.Pauses()...), ", "), reason, s.Rates.Accepted, s.Rates.Delivered, s.Rates.Refused, d.Backlog.Total.Packets, short(d.Backlog.OldestAge), s.Ledger.DeadLettered.Packets, s.Ledger.UnaccountedMessages, s.Revision)
	if text := d.cluster(); text != "" {
		line("%s", text)
	}
	for _, a := range d.Analyzers.Analyzers {
		line("%s: share %s of %s, off by %s messages, queue %d packets, in flight %d, p99 %s: %s",
			a.ID, percent(a.Status.Share), percent(a.Status.TargetShare), signed(a.OffBy()), a.Status.Queue.Packets, a.Status.InFlight.Packets, latency(a.Status.P99), stateOf(a))
	}
	for _, text := range d.refused() {
		line("%s", text)
	}
	for _, e := range d.Events {
		line("event %s: %s", e.Time.UTC().Format(time.RFC3339), ctl.Describe(e))
	}
	return text.String()
}

// plainFollower prints a detail for each snapshot.
type plainFollower struct {
	ctx     context.Context
	client  *adminclient.Client
	options Options
	now     func() time.Time
	last    int64 // event
	seen    time.Time
}

// Connected implements adminclient.Follower.
func (p *plainFollower) Connected() { p.seen = p.now() }

// Receive implements adminclient.Follower.
func (p *plainFollower) Receive(e adminclient.Event) error {
	p.seen = p.now()
	if e.Type == "reset" {
		p.last = 0
		p.say("the distributor was restarted, or snapshots were missed")
	}
	if e.Type != "snapshot" {
		return nil
	}
	detail, err := readDetail(p.ctx, p.client, p.last)
	if err != nil {
		p.say("%v", err)
		return nil
	}
	p.last = detail.LastEvent
	if err := write(p.options, detail, p.seen); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// errOutput is the failure of the output, which ends the command.
var errOutput = errors.New("writing")

// Disconnected implements adminclient.Follower.
func (p *plainFollower) Disconnected(err error, retry time.Duration) error {
	seen := ""
	if !p.seen.IsZero() {
		seen = fmt.Sprintf(", last seen %v ago", p.now().Sub(p.seen).Round(time.Second))
	}
	p.say("disconnected%s: %v; trying again in %v", seen, err, retry.Round(time.Millisecond))
	return nil
}

func (p *plainFollower) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.options.Err, p.now().UTC().Format(time.RFC3339), printable.String(fmt.Sprintf(format, args...)))
}
