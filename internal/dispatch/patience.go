package dispatch

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// While routing waits for room at one analyzer nobody is given anything. So it waits a
// little, in order that a moment's fullness does not change the shares, but neither
// again and again for one slow analyzer, nor for one after the other.
const (
	// mostPatience is how long routing waits for one analyzer, and for all of them, when
	// it has not waited lately.
	mostPatience = 100 * time.Millisecond
	// patiencePerTick is what comes back, a twentieth of the time: analyzers that have
	// been waited for share it.
	patiencePerTick = upstream.TickInterval / 20
	// commonPatiencePerTick is what comes back of the patience with all together. It is
	// more, so that those that are slow for ever leave some for a moment's fullness.
	commonPatiencePerTick = 2 * patiencePerTick
)

// await tells whether to wait for room at the analyzer whose turn it is.
func (d *Dispatcher) await(c *candidate, now time.Time) bool {
	if !d.strict && min(c.patience, d.patience) <= 0 {
		return false
	}
	d.blocked, d.since = c, now
	return true
}

// waited charges the time that packets have waited to whom they waited for.
func (d *Dispatcher) waited(now time.Time) {
	waited := now.Sub(d.since)
	d.blocked.patience -= waited
	d.patience -= waited
	d.blocked = nil
}

// regainPatience is called every upstream.TickInterval.
func (d *Dispatcher) regainPatience() {
	short := 0 // of patience
	for _, c := range d.analyzers {
		if c.patience < mostPatience {
			short++
		}
	}
	part := patiencePerTick / time.Duration(max(1, short))
	for _, c := range d.analyzers {
		c.patience = min(mostPatience, c.patience+part)
	}
	d.patience = min(mostPatience, d.patience+commonPatiencePerTick)
}
