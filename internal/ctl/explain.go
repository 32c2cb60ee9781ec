package ctl

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

func explainAnalyzer(ctx context.Context, c *call) error {
	var e adminapi.ShareExplanation
	if printed, err := c.read(ctx, adminclient.Path("explain"), url.Values{"analyzer": {c.args[0]}}, &e); printed || err != nil {
		return err
	}
	c.out.line("%s", e.Sentence)
	return nil
}

func explainPacket(ctx context.Context, c *call) error {
	var all adminapi.Decisions
	query := url.Values{"emitter": {c.args[0]}, "packet": {c.args[1]}}
	if printed, err := c.read(ctx, adminclient.Path("explain"), query, &all); printed || err != nil {
		return err
	}
	for _, d := range all.Decisions {
		c.out.decision(d)
	}
	return nil
}

// explainNext prints the analyzers that would get the next packets.
func explainNext(ctx context.Context, c *call) error {
	query := url.Values{"messages": {strconv.FormatInt(c.messages, 10)}}
	if c.packets > 0 {
		query.Set("n", strconv.FormatInt(c.packets, 10))
	}
	var all adminapi.NextDecisions
	if printed, err := c.read(ctx, adminclient.Path("explain"), query, &all); printed || err != nil {
		return err
	}
	t := table{header: []string{">PACKET", ">MESSAGES", "ANALYZER", "RUNNER-UP", ">MARGIN"}}
	for i, d := range all.Next {
		t.add(strconv.Itoa(i+1), strconv.Itoa(d.Messages), d.Chosen, dash(d.RunnerUp), strconv.FormatFloat(d.Margin, 'f', 1, 64))
	}
	c.out.table(t)
	return nil
}

func (p *printer) decision(d adminapi.Decision) {
	margin := "as the only eligible analyzer"
	if d.RunnerUp != "" {
		margin = fmt.Sprintf("by a margin of %.1f messages over %s", d.Margin, d.RunnerUp)
	}
	p.line("%s: %d messages to %s (%s) %s, after %v.",
		clock(d.Time), d.Messages, d.Chosen, dash(d.Cause), margin, time.Duration(d.WaitedUS)*time.Microsecond)
	t := table{header: []string{"CANDIDATE", ">DEFICIT", ">SHARE", ">RAMP", ">ROOM", "OUT"}}
	for _, one := range d.Candidates {
		if one.Out != "" || one.CandidateState == nil {
			out := dash(one.Out)
			if !one.Until.IsZero() {
				out += " until " + clock(one.Until)
			}
			t.add(one.ID, "-", "-", "-", "-", out)
			continue
		}
		t.add(one.ID, strconv.FormatFloat(one.Deficit, 'f', 1, 64), percent(one.Share), percent(one.Ramp), strconv.Itoa(one.Room), "-")
	}
	p.table(t)
	if d.Outcome != nil {
		p.line("Outcome: %s, %d attempts, %.1f ms.", d.Outcome.State, d.Outcome.Attempts, d.Outcome.LatencyMS)
	}
}
