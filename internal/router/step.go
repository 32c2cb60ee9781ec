package router

import (
	"context"
	"time"
)

// Round routes what can be routed at a time, and reports whether that was anything. Round
// and Tick let a simulation with a clock of its own drive a router that is not started, from
// one goroutine.
func (r *Router) Round(ctx context.Context, now time.Time) bool { return r.round(ctx, now) }

// Tick does what is due every upstream.TickInterval. See Round.
func (r *Router) Tick(now time.Time) { r.tick(now) }
