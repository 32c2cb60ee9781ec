package analyzer

import (
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// connections are those that are open, so that a stop can close them. The zero
// value is ready.
type connections struct {
	mu     sync.Mutex
	open   map[net.Conn]struct{} // guarded by mu
	closed sync.WaitGroup
}

// changed is told by the server about each connection.
func (c *connections) changed(conn net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateNew:
		c.closed.Add(1)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open == nil {
			c.open = make(map[net.Conn]struct{})
		}
		c.open[conn] = struct{}{}
	case fasthttp.StateClosed:
		c.mu.Lock()
		delete(c.open, conn)
		c.mu.Unlock()
		c.closed.Done()
	}
}

func (c *connections) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close() // nobody is left to tell
	}
}

// wait returns when each connection is closed; no new one may come.
func (c *connections) wait() { c.closed.Wait() }
