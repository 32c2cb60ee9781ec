package admin

import (
	"context"
	"time"
)

// pollInterval is the interval at which a request that waits looks at what it waits for, where
// nothing notifies it.
const pollInterval = 100 * time.Millisecond

// pollUntil returns what look returns once that has ended, or the time of the parameter wait is
// over.
func pollUntil[T any](r *request, look func() (value T, ended bool, err error)) (T, error) {
	wait := r.duration("wait", 0, 0, maxWait)
	if r.query.err != nil {
		var none T
		return none, r.query.err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		value, ended, err := look()
		if ended || err != nil {
			return value, err
		}
		select {
		case <-ctx.Done():
			return value, nil
		case <-ticker.C:
		}
	}
}
