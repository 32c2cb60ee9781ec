package control

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// AddAnalyzer adds an analyzer. Without an id it gets the next free one.
func (c *Controller) AddAnalyzer(ctx context.Context, request Request, target distributor.Target) (Result, error) {
	return c.change(ctx, request, "analyzer_added", func(r *revision) (overrides, error) {
		targets := r.withIDs(append(slices.Clone(r.Config.Distributor.Targets), target))
		added := targets[len(targets)-1]
		item := r.encodeTarget(added)
		if err := r.clone().Set(analyzersKey, encode([]json.RawMessage{item})); err != nil {
			return nil, refuseInvalid(err) // before its id is a part of a path
		}
		if at := r.indexOf(added.ID); at >= 0 {
			return nil, refuse(Conflict, "there is an analyzer with the id %q already", added.ID)
		}
		return put(r, request, analyzersPrefix+added.ID, item)
	})
}

// ReplaceAnalyzers replaces the whole list. An analyzer without an id keeps the id that its URL
// has.
func (c *Controller) ReplaceAnalyzers(ctx context.Context, request Request, targets []distributor.Target) (Result, error) {
	return c.change(ctx, request, "analyzers_replaced", func(r *revision) (overrides, error) {
		items := []json.RawMessage{}
		for _, target := range r.withIDs(targets) {
			items = append(items, r.encodeTarget(target))
		}
		return put(r, request, analyzersKey, encode(items))
	})
}

// AnalyzerPatch is a change of an analyzer; a nil field does not change.
type AnalyzerPatch struct {
	Weight *float64
	State  *string
	URL    *string
	// Deadline is the time after which a drain, or a change of the URL, cuts the packets that are
	// left and routes them again.
	Deadline *time.Duration
}

// maxDeadline bounds deadlines of drains.
const maxDeadline = 24 * time.Hour

func (p AnalyzerPatch) checkDeadline() error {
	isOut := p.State != nil && (*p.State == distributor.StateDrain || *p.State == distributor.StateMaint)
	switch {
	case p.Deadline == nil:
		return nil
	case !isOut && p.URL == nil:
		return refuseValue("deadline", p.Deadline.String(), "only with the state drain or maint, or with a new URL")
	case *p.Deadline < 0 || *p.Deadline > maxDeadline:
		return refuseValue("deadline", p.Deadline.String(), "0s to 24h")
	}
	return nil
}

// PatchAnalyzer changes an analyzer. With the states drain and maint it starts a drain,
// which Drains reports.
func (c *Controller) PatchAnalyzer(ctx context.Context, request Request, id string, patch AnalyzerPatch) (Result, error) {
	if err := patch.checkDeadline(); err != nil {
		return Result{}, err
	}
	request.drainDeadline = deadlineOf(patch.Deadline)
	result, err := c.change(ctx, request, "analyzer_changed", func(r *revision) (overrides, error) {
		if r.indexOf(id) < 0 {
			return nil, c.unknownAnalyzer(id)
		}
		return r.patched(request, analyzersPrefix+id+"/", patch)
	})
	if err == nil && !request.DryRun && patch.State != nil && *patch.State != distributor.StateReady && result.Operation == "" {
		result.Operation = c.drains.start(request, id, *patch.State) // the analyzer was not ready before; only the deadline changes
	}
	return result, err
}

// patched returns the overrides with those of a patch.
func (r *revision) patched(request Request, prefix string, patch AnalyzerPatch) (overrides, error) {
	fields := []struct {
		name  string
		given bool
		value any
	}{{"weight", patch.Weight != nil, patch.Weight}, {"state", patch.State != nil, patch.State}, {"url", patch.URL != nil, patch.URL}}
	next := *r
	for _, field := range fields {
		if !field.given {
			continue
		}
		wanted, err := put(&next, request, prefix+field.name, encode(field.value))
		if err != nil {
			return nil, err
		}
		next.overrides = wanted
	}
	return next.overrides, nil
}

// checkReady refuses a change after which no analyzer is ready.
func checkReady(before, after *revision) error {
	ready := before.ready()
	if len(ready) == 0 || len(after.ready()) > 0 {
		return nil
	}
	return refuse(LastAnalyzer, "no analyzer would be ready without %s: packets would have nowhere to go; with force it is done all the same", strings.Join(ready, ", "))
}

// ready returns the ids of the analyzers that are ready.
func (r *revision) ready() (ids []string) {
	for _, target := range r.Config.Distributor.Targets {
		if target.State == "" || target.State == distributor.StateReady {
			ids = append(ids, target.ID)
		}
	}
	return ids
}

// RemoveAnalyzer removes an analyzer. The analyzer gets no more packets, and the distributor
// delivers the packets that it holds for the analyzer until the deadline; the remaining packets are
// cut and routed to other analyzers.
func (c *Controller) RemoveAnalyzer(ctx context.Context, request Request, id string, deadline *time.Duration) (Result, error) {
	request.drainDeadline = deadlineOf(deadline)
	return c.change(ctx, request, "analyzer_removed", func(r *revision) (overrides, error) {
		if r.indexOf(id) < 0 {
			return nil, c.unknownAnalyzer(id)
		}
		if len(r.Config.Distributor.Targets) == 1 {
			return nil, refuse(LastAnalyzer, "%s is the last analyzer: add another one first", id)
		}
		return put(r, request, analyzersPrefix+id, json.RawMessage("null"))
	})
}

// unknownAnalyzer returns the refusal of a change of an analyzer that the configuration does
// not list.
func (c *Controller) unknownAnalyzer(id string) error {
	if _, registered := c.lease(id); registered {
		return refuse(Conflict, "%s has registered itself: stop it, or DELETE /v1/leases/%s; a weight or a state of its own needs a group in ANALYZERS, such as lease+http://analyzers=0.5", id, id)
	}
	if group := c.Distributor().GroupOf(id); group != "" {
		return refuse(Conflict, "%s is a member of the group %s, which was discovered: change the group instead", id, group)
	}
	return c.current.Load().noAnalyzer(id)
}

func deadlineOf(given *time.Duration) time.Time {
	if given == nil {
		return time.Time{}
	}
	return time.Now().Add(*given)
}

// maxNamedAnalyzers is the number of analyzers up to which a refusal names all of them.
const maxNamedAnalyzers = 10

// noAnalyzer returns the refusal of an id that no analyzer has.
func (r *revision) noAnalyzer(id string) error {
	targets := r.Config.Distributor.Targets
	if len(targets) > maxNamedAnalyzers {
		return refuse(NotFound, "there is no analyzer with the id %q among the %d", id, len(targets))
	}
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.ID
	}
	return refuse(NotFound, "there is no analyzer with the id %q; there are %s", id, strings.Join(ids, ", "))
}

func (r *revision) indexOf(id string) int {
	return slices.IndexFunc(r.Config.Distributor.Targets, func(t distributor.Target) bool { return t.ID == id })
}

// withIDs returns the analyzers with ids; analyzers of the revision keep their ids.
func (r *revision) withIDs(targets []distributor.Target) distributor.Targets {
	return distributor.Targets(targets).WithIDs(r.Config.Distributor.Targets)
}

// encodeTarget returns an analyzer as an item of the list.
func (r *revision) encodeTarget(target distributor.Target) json.RawMessage {
	scratch := r.clone()
	scratch.Config.Distributor.Targets = distributor.Targets{target}
	return encode(scratch.items(lists[0])[0])
}

// checkTokens refuses a credential file that is neither configured nor in use for the same URL:
// otherwise an operator could have any file of this machine sent to any URL.
func (r *revision) checkTokens(before *revision) error {
	for _, target := range r.Config.Distributor.Targets {
		token := target.Token()
		known := func(other distributor.Target) bool { return other.Token() == token }
		if !slices.ContainsFunc(before.Config.Distributor.Targets, known) && !slices.ContainsFunc(r.sources.Config.Distributor.Targets, known) && token != (distributor.Token{}) {
			return refuse(InvalidSetting, "ANALYZERS: token_file=%s is not configured for %s: a change may only use the files of the configuration", token.File, token.Place)
		}
	}
	return nil
}
