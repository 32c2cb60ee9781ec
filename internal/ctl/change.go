package ctl

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// changeFlags are the flags of all changes of the configuration.
var changeFlags = []string{"json", "dry-run", "ttl", "reason", "if-match"}

func withChangeFlags(more ...string) []string {
	return append(changeFlags[:len(changeFlags):len(changeFlags)], more...)
}

// change makes a change of the configuration and prints what it does. With -wait it also
// waits for the drain that the change started.
func (c *call) change(ctx context.Context, method, path string, query url.Values, body map[string]any) error {
	before := c.shares(ctx)
	response, err := c.mutate(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	var change adminapi.Change
	if err := response.Decode(&change); err != nil {
		return err
	}
	if c.json {
		c.out.json(response.Body)
	} else {
		c.out.change(change, before)
	}
	if c.wait && change.Operation != "" {
		return c.awaitDrain(ctx, change.Operation)
	}
	return nil
}

// mutate makes a request that changes something, with the parameters of the flags.
func (c *call) mutate(ctx context.Context, method, path string, query url.Values, body map[string]any) (adminclient.Response, error) {
	query, body = maps.Clone(query), maps.Clone(body)
	if query == nil {
		query = url.Values{}
	}
	if c.dryRun {
		query.Set("dry_run", "true")
	}
	if body == nil && (c.ttl > 0 || c.reason != "" || c.force) {
		body = map[string]any{}
	}
	if c.ttl > 0 {
		body["ttl"] = c.ttl.String()
	}
	if c.reason != "" {
		body["reason"] = c.reason
	}
	if c.force {
		body["force"] = true
	}
	r := adminclient.Request{Method: method, Path: path, Query: query, IfMatch: c.ifMatch}
	if body != nil {
		r.Body = body
	}
	response, err := c.client.Do(ctx, r)
	return response, c.report(err)
}

// report prints a refusal as JSON if the output is to be JSON.
func (c *call) report(err error) error {
	if refused, ok := asRefusal(err); ok && c.json {
		c.out.json(refused.Body)
	}
	return err
}

// shares returns the present shares of the analyzers; none if they cannot be read, since
// they only illustrate a change.
func (c *call) shares(ctx context.Context) map[string]float64 {
	if c.json {
		return nil
	}
	var all adminapi.Analyzers
	if err := c.client.Get(ctx, adminclient.Path("analyzers"), nil, &all); err != nil {
		return nil
	}
	shares := make(map[string]float64)
	for _, a := range all.Analyzers {
		shares[a.ID] = a.Status.Share
	}
	return shares
}

// change writes what a change does.
func (p *printer) change(change adminapi.Change, before map[string]float64) {
	if change.DryRun {
		p.line("Nothing was changed, as this is a dry run. The revision is %d.", change.Revision)
	} else {
		p.line("Revision %d.", change.Revision)
	}
	if len(change.Changed) == 0 {
		p.line("No setting differs.")
	} else {
		changed := table{header: []string{"CHANGED", "OLD", "NEW"}}
		for _, one := range change.Changed {
			changed.add(one.Path, value(one.Old), value(one.New))
		}
		p.table(changed)
	}
	p.projection(change, before)
	for _, warning := range change.Warnings {
		p.line("Warning: %s.", warning)
	}
	for _, shadowed := range change.Shadowed {
		p.line("Without effect in the file: %s.", shadowed)
	}
	if change.Operation != "" {
		p.line("Drain %s has begun.", change.Operation)
	}
}

func (p *printer) projection(change adminapi.Change, before map[string]float64) {
	if len(change.Projected) == 0 {
		return
	}
	t := table{header: []string{"ANALYZER", ">SHARE NOW", ">PROJECTED", ">MESSAGES/S", ">PACE SEEN", ">LOAD"}}
	for _, one := range change.Projected {
		now := "-"
		if share, ok := before[one.ID]; ok {
			now = percent(share)
		}
		load := "-"
		if one.Load > 0 {
			load = percent(one.Load)
		}
		t.add(one.ID, now, percent(one.Share), number(one.MessagesPerSecond), known(one.ObservedPace), load)
	}
	p.table(t)
	if change.BoundMessages == 0 { // before the first packet
		return
	}
	p.line("No analyzer is further from its share than %.1f messages.", change.BoundMessages)
}

func (c *call) patchAnalyzer(ctx context.Context, body map[string]any) error {
	return c.change(ctx, http.MethodPatch, adminclient.Path("analyzers", c.args[0]), nil, body)
}

// setState returns the run of a command that sets the state of an analyzer.
func setState(state string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		body := map[string]any{"state": state}
		if c.deadline > 0 {
			body["deadline"] = c.deadline.String()
		}
		return c.patchAnalyzer(ctx, body)
	}
}

func setWeight(ctx context.Context, c *call) error {
	weight, err := parseNumber("WEIGHT", c.args[1])
	if err != nil {
		return err
	}
	return c.patchAnalyzer(ctx, map[string]any{"weight": weight})
}

func addAnalyzer(ctx context.Context, c *call) error {
	weight, err := parseNumber("WEIGHT", c.args[2])
	if err != nil {
		return err
	}
	return c.change(ctx, http.MethodPost, adminclient.Path("analyzers"), nil, map[string]any{"id": c.args[0], "url": c.args[1], "weight": weight})
}

func removeAnalyzer(ctx context.Context, c *call) error {
	query := url.Values{}
	if c.deadline > 0 {
		query.Set("deadline", c.deadline.String())
	}
	return c.change(ctx, http.MethodDelete, adminclient.Path("analyzers", c.args[0]), query, nil)
}

// breaker returns the run of a command that resets a breaker or holds it open.
func breaker(action string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.change(ctx, http.MethodPost, adminclient.Path("analyzers", c.args[0], "breaker"), nil, map[string]any{"action": action})
	}
}

func reload(ctx context.Context, c *call) error {
	return c.change(ctx, http.MethodPost, adminclient.Path("reload"), nil, nil)
}

func upgrade(ctx context.Context, c *call) error {
	response, err := c.mutate(ctx, http.MethodPost, adminclient.Path("upgrade"), nil, nil)
	if err != nil {
		return err
	}
	var result struct{ Detail string }
	if err := response.Decode(&result); err != nil {
		return err
	}
	if c.json {
		c.out.json(response.Body)
		return nil
	}
	c.out.line("%s", result.Detail)
	return nil
}

func parseNumber(name, text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, UsageError{fmt.Errorf("%s is %q: a number is needed", name, text)}
	}
	return v, nil
}
