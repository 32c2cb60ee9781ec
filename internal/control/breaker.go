package control

import (
	"context"
	"time"

	"github.com/logstreamer/logstreamer/internal/events"
)

// The actions on the breaker of an analyzer.
const (
	breakerReset = "reset"
	breakerOpen  = "open"
)

// defaultOpen is for how long a breaker is opened when no TTL is given.
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
	result := Result{Revision: r.number, DryRun: request.DryRun, Changed: []Changed{}, Warnings: []string{}}
	if err := c.matchLocked(request); err != nil {
		return Result{}, err
	}
	if _, registered := c.lease(id); r.indexOf(id) < 0 && !registered {
		return Result{}, refuse(NotFound, "there is no analyzer with the id %q", id)
	}
	if action != breakerReset && action != breakerOpen {
		return Result{}, refuseValue("action", action, "reset or open")
	}
	if !request.DryRun {
		if err := c.setBreaker(id, action, request.TTL); err != nil {
			return Result{}, refuse(Conflict, "%v", err)
		}
		c.events.Add(events.Event{Kind: "breaker", Actor: request.Actor.Name, Address: request.Actor.Address, Path: analyzersPrefix + id, New: action, Reason: request.Reason, Result: "applied"})
	}
	c.project(r.revision, &result)
	return result, nil
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
