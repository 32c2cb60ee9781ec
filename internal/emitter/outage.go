package emitter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// minOutageLogInterval is the minimum time between two logs of an outage, for a
// target that accepts and rejects alternately.
const minOutageLogInterval = 10 * time.Second

// outage logs when the target stops and when it resumes accepting packets. Safe
// for concurrent use.
type outage struct {
	logger  *slog.Logger
	failing atomic.Bool

	mu       sync.Mutex
	reported bool      // guarded by mu; whether the current outage was logged
	since    time.Time // guarded by mu
}

func (o *outage) fail(reason error) {
	if o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing.Swap(true) || time.Since(o.since) < minOutageLogInterval {
		return
	}
	o.since, o.reported = time.Now(), true
	o.logger.Warn("the target does not accept packets, retrying", "reason", reason)
}

func (o *outage) succeed() {
	if !o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing.Swap(false) && o.reported {
		o.reported = false
		o.logger.Info("the target accepts packets again", "after", time.Since(o.since).Round(time.Millisecond))
	}
}

// refused logs the first packet refused with a status.
func (o *outage) refused(status int, packetID, body []byte) {
	o.logger.Warn("the target refused a packet permanently; further refusals with this status are only counted",
		"status", status, "packet_id", string(packetID), "response", excerpt(body))
}
