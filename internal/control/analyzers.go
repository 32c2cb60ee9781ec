package control

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// AddAnalyzer adds an analyzer. Without an id it gets the next free one.
func (c *Controller) AddAnalyzer(ctx context.Context, request Request, target distributor.Target) (Result, error) {
	return c.change(ctx, request, "analyzer_added", func(r *revision) (overrides, error) {
		targets := r.withIDs(append(slices.Clone(r.Config.Distributor.Targets), target))
		added := targets[len(targets)-1]
		if at := r.indexOf(added.ID); at >= 0 {
			return nil, refuse(Conflict, "there is an analyzer with the id %q already", added.ID)
		}
		return put(r, request, analyzersPrefix+added.ID, r.encodeTarget(added))
	})
}

// ReplaceAnalyzers replaces the whole list. Analyzers without an id keep the one that their
// URL has.
func (c *Controller) ReplaceAnalyzers(ctx context.Context, request Request, targets []distributor.Target) (Result, error) {
	return c.change(ctx, request, "analyzers_replaced", func(r *revision) (overrides, error) {
		items := []json.RawMessage{}
		for _, target := range r.withIDs(targets) {
			items = append(items, r.encodeTarget(target))
		}
		return put(r, request, analyzersKey, encode(items))
	})
}

// AnalyzerPatch is a change of an analyzer; what is nil stays.
type AnalyzerPatch struct {
	Weight *float64
	State  *string
	URL    *string
	// Deadline is after how long a drain cuts what the analyzer still has.
	Deadline *time.Duration
	// Force drains the last ready analyzer, too.
	Force bool
}

// PatchAnalyzer changes an analyzer. With the states drain and maint it starts a drain,
// which Drains reports.
func (c *Controller) PatchAnalyzer(ctx context.Context, request Request, id string, patch AnalyzerPatch) (Result, error) {
	request.drainDeadline = deadlineOf(patch.Deadline)
	result, err := c.change(ctx, request, "analyzer_changed", func(r *revision) (overrides, error) {
		if r.indexOf(id) < 0 {
			return nil, c.unknownAnalyzer(id)
		}
		if err := r.checkLast(id, patch); err != nil {
			return nil, err
		}
		return r.patched(request, analyzersPrefix+id+"/", patch)
	})
	if err == nil && !request.DryRun && patch.State != nil && *patch.State != distributor.StateReady && result.Operation == "" {
		result.Operation = c.drains.start(request, id, *patch.State) // it was out before: another deadline
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

// checkLast refuses to take the last ready analyzer out.
func (r *revision) checkLast(id string, patch AnalyzerPatch) error {
	if patch.State == nil || *patch.State == distributor.StateReady || patch.Force || !r.isLastReady(id) {
		return nil
	}
	return refuse(LastAnalyzer, "%s is the last analyzer that is ready: packets would have nowhere to go; with force it is done all the same", id)
}

// isLastReady reports whether an analyzer is the only one that is ready.
func (r *revision) isLastReady(id string) bool {
	var ready []string
	for _, target := range r.Config.Distributor.Targets {
		if target.State == "" || target.State == distributor.StateReady {
			ready = append(ready, target.ID)
		}
	}
	return slices.Equal(ready, []string{id})
}

// RemoveAnalyzer removes an analyzer: it gets no more packets, and what it holds it delivers
// until the deadline, when the rest is cut and routed elsewhere.
func (c *Controller) RemoveAnalyzer(ctx context.Context, request Request, id string, deadline *time.Duration) (Result, error) {
	request.drainDeadline = deadlineOf(deadline)
	return c.change(ctx, request, "analyzer_removed", func(r *revision) (overrides, error) {
		if r.indexOf(id) < 0 {
			return nil, c.unknownAnalyzer(id)
		}
		if len(r.Config.Distributor.Targets) == 1 {
			return nil, refuse(LastAnalyzer, "%s is the last analyzer: add another one first", id)
		}
		if r.isLastReady(id) {
			return nil, refuse(LastAnalyzer, "%s is the last analyzer that is ready: make another one ready first, or drain it with force", id)
		}
		return put(r, request, analyzersPrefix+id, json.RawMessage("null"))
	})
}

// unknownAnalyzer returns the refusal of a change of an analyzer that the configuration does
// not list.
func (c *Controller) unknownAnalyzer(id string) error {
	if group := c.Distributor().GroupOf(id); group != "" {
		return refuse(Conflict, "%s is a member of the group %s, which was discovered: change the group instead", id, group)
	}
	return refuse(NotFound, "there is no analyzer with the id %q", id)
}

func deadlineOf(given *time.Duration) time.Time {
	if given == nil {
		return time.Time{}
	}
	return time.Now().Add(*given)
}

func (r *revision) indexOf(id string) int {
	return slices.IndexFunc(r.Config.Distributor.Targets, func(t distributor.Target) bool { return t.ID == id })
}

// withIDs returns the analyzers with ids; those of the revision keep theirs.
func (r *revision) withIDs(targets []distributor.Target) distributor.Targets {
	return distributor.Targets(targets).SettledAfter(r.Config.Distributor.Targets)
}

// encodeTarget returns an analyzer as an item of the list.
func (r *revision) encodeTarget(target distributor.Target) json.RawMessage {
	scratch := r.clone()
	scratch.Config.Distributor.Targets = distributor.Targets{target}
	return encode(scratch.items(lists[0])[0])
}
