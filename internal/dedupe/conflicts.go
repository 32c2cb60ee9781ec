package dedupe

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// conflict is what is logged of a packet that came with the ids of another one.
type conflict struct {
	emitterID, packetID string
	at                  time.Time
}

func newConflict(info packet.Info, body []byte, at time.Time) *conflict {
	return &conflict{
		emitterID: string(info.EmitterID.AppendDecoded(nil, body)),
		packetID:  string(info.PacketID.AppendDecoded(nil, body)),
		at:        at,
	}
}

// conflicts counts packets that were accepted with known ids and other content,
// and logs the first of an emitter after a quiet time. It may be used
// concurrently.
type conflicts struct {
	logger *slog.Logger
	count  atomic.Int64

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

const (
	conflictLogInterval = time.Minute
	// maxLoggedEmitters bounds the emitters of last. All others share one entry, of
	// the name that no emitter has.
	maxLoggedEmitters = 64
	otherEmitters     = ""
)

func newConflicts(logger *slog.Logger) *conflicts {
	return &conflicts{logger: logger, last: make(map[string]time.Time)}
}

// add counts a conflict, or nothing when there is none.
func (c *conflicts) add(found *conflict) {
	if found == nil {
		return
	}
	c.count.Add(1)
	if c.startsSeries(found) {
		c.logger.Warn("a packet has the ids of an earlier one and other content, and is taken as a new packet: its emitter may have restarted and "+
			"count from the beginning again, or share its emitter_id with another one; further packets of this emitter are only counted until there was none for a minute",
			"emitter_id", found.emitterID, "packet_id", found.packetID)
	}
}

// isFirst reports whether the emitter had no conflict for a quiet time.
func (c *conflicts) startsSeries(found *conflict) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	emitter := found.emitterID
	last, known := c.last[emitter]
	if !known && len(c.last) >= maxLoggedEmitters {
		c.evictLocked(found.at)
		if len(c.last) >= maxLoggedEmitters {
			emitter = otherEmitters
			last, known = c.last[emitter]
		}
	}
	c.last[emitter] = found.at
	return !known || found.at.Sub(last) >= conflictLogInterval
}

func (c *conflicts) evictLocked(now time.Time) {
	for emitter, last := range c.last {
		if now.Sub(last) >= conflictLogInterval {
			delete(c.last, emitter)
		}
	}
}
