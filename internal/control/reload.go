package control

import (
	"context"
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/events"
)

// reloaded is the kind of the changes of a reload.
const reloaded = "reload"

// ReloadStatus is the result of the latest reload.
type ReloadStatus struct {
	Time    time.Time `json:"time"`
	Success bool      `json:"success"`
	Detail  string    `json:"detail,omitempty"`
}

// LastReload returns the result of the latest reload; the start counts as a reload.
func (c *Controller) LastReload() ReloadStatus { return *c.lastReload.Load() }

func (c *Controller) setReloaded(success bool, detail string) {
	c.lastReload.Store(&ReloadStatus{time.Now().UTC(), success, detail})
}

// Reload reads file and environment again and applies all of their changes or none. An override
// holds unless the value that it replaced has changed.
func (c *Controller) Reload(ctx context.Context, request Request) (Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	result, err := c.retryLocked(ctx, request, func() (Result, error) { return c.reloadLocked(ctx, request) })
	if request.DryRun {
		return result, err
	}
	event := events.Event{Kind: reloaded, Actor: request.Actor.Name, Address: request.Actor.Address, Reason: request.Reason, Result: "applied"}
	if err != nil {
		c.setReloaded(false, err.Error())
		event.Result, event.Detail = "refused", err.Error()
		c.deps.Logger.Error("the configuration was not reloaded, and nothing was changed", "error", err, "actor", request.Actor.Name)
	} else {
		c.setReloaded(true, "")
		c.deps.Logger.Info("configuration reloaded", "revision", result.Revision, "changes", len(result.Changed), "shadowed", result.Shadowed, "actor", request.Actor.Name)
	}
	c.events.Add(event)
	return result, err
}

func (c *Controller) reloadLocked(ctx context.Context, request Request) (Result, error) {
	if err := c.matchLocked(request); err != nil {
		return Result{}, err
	}
	read, err := c.loader.Load()
	if err != nil {
		return Result{}, refuseInvalid(err)
	}
	if !request.DryRun {
		c.Distributor().RefreshGroups()
	}
	before := c.current.Load()
	after, lost := before.resolveValid(loaded{read, c.loader.Settings}, before.overrides)
	result, err := c.commitLocked(ctx, request, reloaded, after, lost)
	result.Shadowed = []string{}
	for _, s := range read.Shadowed {
		result.Shadowed = append(result.Shadowed, fmt.Sprintf("%s by %v", s.Env, read.Origin(s.Key)))
	}
	for _, one := range after.overrides {
		if one.Idle != "" {
			continue
		}
		result.Shadowed = append(result.Shadowed, one.Path+" by override")
	}
	return result, err
}
