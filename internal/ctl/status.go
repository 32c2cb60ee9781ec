package ctl

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// read reads an object. With -json it prints the response and returns true.
func (c *call) read(ctx context.Context, path string, query url.Values, into any) (printed bool, err error) {
	response, err := c.client.Do(ctx, adminclient.Request{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return false, c.report(err)
	}
	if c.json {
		c.out.json(response.Body)
	}
	return c.json, response.Decode(into)
}

func showStatus(ctx context.Context, c *call) error {
	var s adminapi.Status
	if printed, err := c.read(ctx, adminclient.Path("status"), nil, &s); printed || err != nil {
		return err
	}
	ready := "ready"
	if !s.Ready {
		ready = "not ready"
	}
	c.out.line("%s: %s", strings.Join(append([]string{s.State, ready}, s.Pauses()...), ", "), dash(s.Reason))
	t := table{header: []string{"", ">PACKETS", ">MESSAGES"}}
	for _, row := range []struct {
		name string
		adminapi.Volume
	}{
		{"accepted", s.Ledger.Accepted}, {"delivered", s.Ledger.Delivered}, {"queued", s.Ledger.Queued},
		{"in flight", s.Ledger.InFlight}, {"dead-lettered", s.Ledger.DeadLettered}, {"damaged", s.Ledger.Damaged},
	} {
		t.add(row.name, strconv.FormatInt(row.Packets, 10), strconv.FormatInt(row.Messages, 10))
	}
	t.add("unaccounted", "", strconv.FormatInt(s.Ledger.UnaccountedMessages, 10))
	c.out.table(t)
	c.out.line("Messages/s: %.0f accepted, %.0f delivered. Packets/s: %.0f refused.", s.Rates.Accepted, s.Rates.Delivered, s.Rates.Refused)
	c.out.line("Analyzers: %d of %d healthy. Intake %s, dispatch %s.", s.Analyzers.Healthy, s.Analyzers.Total, s.Intake, s.Dispatch)
	c.out.line("Revision %d, %d overrides. Version %s, up %v since %s.", s.Revision, s.Overrides, s.Version, time.Duration(s.Uptime).Round(time.Second), clock(s.Started))
	switch {
	case s.Settings.Shared && s.Settings.Synchronized:
		c.out.line("The settings are those of the cluster.")
	case s.Settings.Shared:
		c.out.line("The settings of the cluster are not synchronized: %s", s.Settings.Detail)
	}
	if r := s.LastReload; r != nil {
		outcome := "succeeded"
		if !r.Successful {
			outcome = "failed"
		}
		detail := "."
		if r.Detail != "" {
			detail = ": " + r.Detail
		}
		c.out.line("The last reload %s at %s%s", outcome, clock(r.Time), detail)
	}
	return nil
}

func showAnalyzers(ctx context.Context, c *call) error {
	if len(c.args) > 0 {
		return showAnalyzer(ctx, c)
	}
	var all adminapi.Analyzers
	if printed, err := c.read(ctx, adminclient.Path("analyzers"), nil, &all); printed || err != nil {
		return err
	}
	t := table{header: []string{"ANALYZER", ">WEIGHT", ">TARGET", ">SHARE", ">OFF BY", ">QUEUE", ">IN FLIGHT", ">MSG/S", ">P99", "STATE", "HEALTH"}}
	for _, a := range all.Analyzers {
		t.add(analyzerRow(a)...)
	}
	c.out.table(t)
	c.out.line("Revision %d. The limit of OFF BY is %.1f messages.", all.Revision, all.BoundMessages)
	return nil
}

func analyzerRow(a adminapi.Analyzer) []string {
	return []string{
		a.ID, strconv.FormatFloat(a.Spec.Weight, 'g', -1, 64), percent(a.Status.TargetShare), percent(a.Status.Share), signed(a.OffBy()),
		strconv.FormatInt(a.Status.Queue.Packets, 10), strconv.FormatInt(a.Status.InFlight.Packets, 10), number(a.Status.Pace),
		latency(a), stateOf(a), healthOf(a),
	}
}

// healthOf returns the health of an analyzer with why its breaker opened.
func healthOf(a adminapi.Analyzer) string {
	if a.Status.Outage == "" {
		return a.Status.Health
	}
	return a.Status.Health + ": " + sink.Cause(a.Status.Outage)
}

// latency returns the p99 of an analyzer without digits that mean nothing.
func latency(a adminapi.Analyzer) string {
	if a.Status.P99 == 0 {
		return "-"
	}
	return time.Duration(a.Status.P99).Round(10 * time.Microsecond).String()
}

// stateOf returns the state of an analyzer and, if it gets no packets for another reason,
// that reason.
func stateOf(a adminapi.Analyzer) string {
	if out := a.Status.Out; out != "" && out != a.Spec.State {
		return a.Spec.State + ", " + out
	}
	return a.Spec.State
}

func showAnalyzer(ctx context.Context, c *call) error {
	var a adminapi.Analyzer
	if printed, err := c.read(ctx, adminclient.Path("analyzers", c.args[0]), nil, &a); printed || err != nil {
		return err
	}
	t := table{header: []string{"ANALYZER", a.ID}}
	t.add("url", a.Spec.URL)
	t.add("weight", strconv.FormatFloat(a.Spec.Weight, 'g', -1, 64))
	t.add("state", stateOf(a))
	t.add("health", a.Status.Health)
	t.add("breaker", a.Status.Breaker)
	if a.Status.Outage != "" {
		t.add("opened by", a.Status.Outage)
	}
	if !a.Status.Until.IsZero() {
		t.add("out until", clock(a.Status.Until))
	}
	t.add("share", percent(a.Status.Share)+" of "+percent(a.Status.TargetShare)+" by weight, ramp "+percent(a.Status.Ramp))
	t.add("off by", signed(a.OffBy())+" messages")
	t.add("queue", strconv.FormatInt(a.Status.Queue.Packets, 10)+" of "+strconv.Itoa(a.Status.QueueLimit)+" packets")
	t.add("in flight", strconv.FormatInt(a.Status.InFlight.Packets, 10)+" packets")
	t.add("delivers", number(a.Status.Pace)+" messages/s, p99 "+latency(a))
	c.out.table(t)
	if a.Drain != nil {
		c.out.drain(*a.Drain)
	}
	return nil
}

func showDrains(ctx context.Context, c *call) error {
	var all adminapi.Drains
	if printed, err := c.read(ctx, adminclient.Path("drains"), nil, &all); printed || err != nil {
		return err
	}
	for _, d := range all.Drains {
		c.out.drain(d)
	}
	if len(all.Drains) == 0 {
		c.out.line("There was no drain.")
	}
	return nil
}

func showRefusals(ctx context.Context, c *call) error {
	query := url.Values{}
	if c.limit > 0 {
		query.Set("top", strconv.FormatInt(c.limit, 10))
	}
	var list adminapi.Refusals
	if printed, err := c.read(ctx, adminclient.Path("refusals"), query, &list); printed || err != nil {
		return err
	}
	if len(list.Emitters) == 0 {
		c.out.line("No packets of a known emitter were refused lately. Those that are refused before they are read have none; the status has their rate.")
		return nil
	}
	c.out.line("Refused packets; each counts half after a minute.")
	emitters := table{header: []string{"EMITTER", "REASON", ">PACKETS", "LAST"}}
	for _, one := range list.Emitters {
		for _, reason := range one.ByReason {
			emitters.add(one.Emitter, reason.Reason, strconv.FormatInt(reason.Packets, 10), one.Last.Local().Format(time.TimeOnly))
		}
	}
	c.out.table(emitters)
	return nil
}

func showBacklog(ctx context.Context, c *call) error {
	query := url.Values{}
	if c.limit > 0 {
		query.Set("top", strconv.FormatInt(c.limit, 10))
	}
	var b adminapi.Backlog
	if printed, err := c.read(ctx, adminclient.Path("backlog"), query, &b); printed || err != nil {
		return err
	}
	estimate := "unknown, as nothing is delivered"
	if b.DrainEstimate != nil {
		estimate = b.DrainEstimate.String()
	}
	c.out.line("%d packets (%d messages), the oldest for %v; time to deliver them: %s.", b.Total.Packets, b.Total.Messages, b.OldestAge, estimate)
	places := table{header: []string{"PLACE", "ANALYZER", ">PACKETS", ">MESSAGES", ">BYTES"}}
	for _, one := range b.ByPlace {
		places.add(one.Place, dash(one.Analyzer), strconv.FormatInt(one.Packets, 10), strconv.FormatInt(one.Messages, 10), strconv.FormatInt(one.Bytes, 10))
	}
	c.out.table(places)
	emitters := table{header: []string{"EMITTER", ">PACKETS", ">MESSAGES", ">MAX ERROR"}}
	for _, one := range b.ByEmitter {
		emitters.add(one.Emitter, strconv.FormatInt(one.Packets, 10), strconv.FormatInt(one.Messages, 10), strconv.FormatInt(one.ErrorMessages, 10))
	}
	c.out.table(emitters)
	return nil
}
