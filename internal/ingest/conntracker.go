package ingest

import (
	"math"
	"sync"
)

// connTracker knows the connections that have a goroutine each. It may be used
// concurrently.
type connTracker struct {
	mu   sync.Mutex // guards open
	open map[*connection]struct{}
}

func newConnTracker() *connTracker { return &connTracker{open: make(map[*connection]struct{})} }

func (t *connTracker) add(c *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[c] = struct{}{}
}

func (t *connTracker) remove(c *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
}

// each calls look for the connections that are open.
func (t *connTracker) each(look func(*connection)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.open {
		look(c)
	}
}

// left returns how many connections are open.
func (t *connTracker) left() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// endWaits ends all waits for clients' bytes. What is being written is not
// disturbed.
func (t *connTracker) endWaits() {
	t.each(func(c *connection) { c.waits.endReading(c.Conn, math.MaxInt64) })
}

// end ends the connections that are open.
func (t *connTracker) end() { t.each(func(c *connection) { _ = c.Conn.Close() }) }
