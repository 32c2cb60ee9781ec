package control

import (
	"context"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
)

// The actions on the breaker of an analyzer.
const (
	breakerReset = "reset"
	breakerOpen  = "open"
)

// defaultOpen is the time for which a breaker is opened without a TTL.
const defaultOpen = 10 * time.Minute

// Breaker closes the breaker of an analyzer (reset), or keeps it open for the TTL of the
// request. It is not part of the configuration: a restart forgets it.
func (c *Controller) Breaker(_ context.Context, request Request, id, action string) (Result, error) {
	if err := request.check(); err != nil {
		return Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.current.Load()
	result := Result{Revision: r.number, DryRun: request.DryRun, Warnings: []string{}}
	if err := c.matchLocked(request); err != nil {
		return Result{}, err
	}
	if _, registered := c.lease(id); r.indexOf(id) < 0 && !registered {
		return Result{}, r.noAnalyzer(id)
	}
	if action != breakerReset && action != breakerOpen {
		return Result{}, refuseValue("action", action, "reset or open")
	}
	status := c.Distributor().Status()
	result.Changed = changedBreaker(status, id, action)
	if !request.DryRun {
		if err := c.setBreaker(id, action, request.TTL); err != nil {
			return Result{}, refuse(Conflict, "%v", err)
		}
		c.events.Add(events.Event{Kind: "breaker", Actor: request.Actor.Name, Address: request.Actor.Address, Path: analyzersPrefix + id, New: action, Reason: request.Reason, Result: "applied"})
	}
	if request.DryRun {
		c.projectFrom(status, r.revision, &result)
	} else {
		c.project(r.revision, &result)
	}
	return result, nil
}

// changedBreaker returns the changes of an action. The status gets the health of the analyzer after
// the action.
func changedBreaker(status distributor.Status, id, action string) []Changed {
	at := slices.IndexFunc(status.Analyzers, func(one distributor.AnalyzerStatus) bool { return one.ID == id })
	if at < 0 {
		return []Changed{}
	}
	one, after := &status.Analyzers[at], breaker.Open
	if action == breakerReset {
		after = breaker.Closed
	}
	changed := Changed{Path: analyzersPrefix + id + "/breaker", Old: encode(one.Breaker.State.String()), New: encode(after.String())}
	if one.Healthy != (after == breaker.Closed) {
		one.Healthy, one.Ramp = after == breaker.Closed, 1
	}
	return []Changed{changed}
}

func (c *Controller) setBreaker(id, action string, ttl time.Duration) error {
	if action == breakerReset {
		return c.Distributor().ResetBreaker(id)
	}
	if ttl == 0 {
		ttl = defaultOpen
	}
	return c.Distributor().OpenBreaker(id, time.Now().Add(ttl))
}
