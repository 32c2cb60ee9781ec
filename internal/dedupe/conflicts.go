package dedupe

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// conflict is a packet with the ids of another packet and other content.
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

// conflicts counts accepted packets with known ids and other content, and logs the first of
// an emitter after conflictLogInterval without any. It may be used concurrently.
type conflicts struct {
	logger *slog.Logger
	count  atomic.Int64

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

const (
	conflictLogInterval = time.Minute
	// maxLoggedEmitters bounds the emitters in last. All others share the entry
	// otherEmitters, which is no valid id.
	maxLoggedEmitters = 64
	otherEmitters     = ""
)

func newConflicts(logger *slog.Logger) *conflicts {
	return &conflicts{logger: logger, last: make(map[string]time.Time)}
}

// add counts a conflict; found may be nil.
func (c *conflicts) add(found *conflict) {
	if found == nil {
		return
	}
	c.count.Add(1)
	if c.startsSeries(found) {
		c.logger.Warn("a packet has the ids of an earlier one and other content, and is accepted as a new packet: its emitter may have restarted and "+
			"reused its packet ids, or share its emitter_id with another one; further packets of this emitter are only counted until a minute has passed without any",
			"emitter_id", found.emitterID, "packet_id", found.packetID)
	}
}

// startsSeries reports whether the emitter had no conflict for conflictLogInterval.
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
