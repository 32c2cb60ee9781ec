package control

import (
	"context"
	"encoding/json"
)

// Limit is the rate limit of one emitter in messages.
type Limit struct {
	Emitter string  `json:"emitter"`
	Rate    float64 `json:"rate"`  // per second; 0: no limit
	Burst   float64 `json:"burst"` // 0: as large as Rate
}

// SetLimit sets the limit of an emitter.
func (c *Controller) SetLimit(ctx context.Context, request Request, limit Limit) (Result, error) {
	return c.change(ctx, request, "limit_changed", func(r *revision) (overrides, error) {
		value := item{"rate": limit.Rate, "burst": limit.Burst}
		return put(r, request, limitsPrefix+limit.Emitter, encode(value))
	})
}

// ClearLimit removes the limit of an emitter, to which the limit of all emitters then applies.
func (c *Controller) ClearLimit(ctx context.Context, request Request, emitter string) (Result, error) {
	return c.change(ctx, request, "limit_changed", func(r *revision) (overrides, error) {
		if len(r.get(limitsPrefix+emitter)) <= len("null") {
			return nil, refuse(NotFound, "there is no limit for the emitter %q", emitter)
		}
		return put(r, request, limitsPrefix+emitter, json.RawMessage("null"))
	})
}

// Limits returns the limits of single emitters.
func (c *Controller) Limits() []Limit {
	limits := []Limit{}
	text := c.current.Load().get("limits")
	_ = json.Unmarshal(text, &limits) // the encoding of the setting
	return limits
}
