package emitter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// quiet is the least time between two reports of an outage, for a target that
// takes and refuses in turns.
const quiet = 10 * time.Second

// outage logs when the target stops taking packets and when it takes them
// again. It may be used concurrently.
type outage struct {
	logger  *slog.Logger
	failing atomic.Bool

	mu       sync.Mutex
	reported bool      // guarded by mu; whether this outage was logged
	since    time.Time // guarded by mu
}

func (o *outage) begin(reason error) {
	if o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing.Swap(true) || time.Since(o.since) < quiet {
		return
	}
	o.since, o.reported = time.Now(), true
	o.logger.Warn("the target does not take packets, retrying", "reason", reason)
}

func (o *outage) over() {
	if !o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing.Swap(false) && o.reported {
		o.reported = false
		o.logger.Info("the target takes packets again", "after", time.Since(o.since).Round(time.Millisecond))
	}
}

// refused logs the first packet that was refused with a status.
func (o *outage) refused(status int, packetID, body []byte) {
	o.logger.Warn("the target refused a packet for good; further ones with this status are only counted",
		"status", status, "packet_id", string(packetID), "answer", excerpt(body))
}
