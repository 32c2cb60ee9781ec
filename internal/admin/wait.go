package admin

import (
	"context"
	"time"
)

// pollInterval is the time between two checks of the condition of a request that waits without a
// notification.
const pollInterval = 100 * time.Millisecond

// pollUntil returns the result of look once look reports the end, or when the time of the parameter
// wait is over.
func pollUntil[T any](r *request, look func() (value T, ended bool, err error)) (T, error) {
	wait := r.duration("wait", 0, maxWait)
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
