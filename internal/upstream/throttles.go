package upstream

import "sync"

// throttles detects an analyzer that throttles one request after another and accepts none: they may be
// too large for the rate that it limits, whenever they come. The zero value is ready to use.
type throttles struct {
	mu sync.Mutex // guards all below
	// start and end are the times of a throttled request, see Upstream.elapsed. Requests that began
	// before its end are of the same burst.
	start, end int64
}

// repeated notes a throttled request, and reports whether it began after the end of another one since
// whose start nothing was delivered.
func (t *throttles) repeated(start, end, lastDelivered int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if start < t.end {
		return false
	}
	repeated := t.end > 0 && lastDelivered < t.start
	t.start, t.end = start, end
	return repeated
}
