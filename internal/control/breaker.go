package control

import (
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
func (c *Controller) Breaker(request Request, id, action string) (Result, error) {
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
	if action != breakerReset && action != breakerOpen {
		return Result{}, refuseValue("action", action, "reset or open")
	}
	status := c.Distributor().Status() // has the members of groups, too
	at := slices.IndexFunc(status.Analyzers, func(one distributor.AnalyzerStatus) bool { return one.ID == id })
	switch {
	case at < 0 && r.indexOf(id) >= 0:
		return Result{}, refuse(Conflict, "%s is a group of analyzers: each member has a breaker of its own", id)
	case at < 0:
		return Result{}, r.noAnalyzer(id)
	}
	result.Changed = []Changed{changedBreaker(&status.Analyzers[at], action)}
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

// changedBreaker returns the change of an action. The status gets the health of the analyzer after
// the action.
func changedBreaker(one *distributor.AnalyzerStatus, action string) Changed {
	after := breaker.Open
	if action == breakerReset {
		after = breaker.Closed
	}
	changed := Changed{Path: analyzersPrefix + one.ID + "/breaker", Old: encode(one.Breaker.State.String()), New: encode(after.String())}
	if one.Healthy != (after == breaker.Closed) {
		one.Healthy, one.Ramp = after == breaker.Closed, 1
	}
	return changed
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
