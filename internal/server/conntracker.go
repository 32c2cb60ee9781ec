package server

import (
	"math"
	"sync"
)

// connTracker is the set of connections with a goroutine each. It may be used
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

// each calls do for every open connection, holding the lock.
func (t *connTracker) each(do func(*connection)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.open {
		do(c)
	}
}

// count returns the number of open connections.
func (t *connTracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// failReads fails all pending reads. Writes continue.
func (t *connTracker) failReads() {
	t.each(func(c *connection) { c.deadlines.enforceRead(c.Conn, math.MaxInt64) })
}

// close closes all open connections.
func (t *connTracker) close() { t.each(func(c *connection) { closeNow(c.Conn) }) }
