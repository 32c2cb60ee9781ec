package analyzer

import (
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// connections tracks the open connections. The zero value is ready to use.
type connections struct {
	mu     sync.Mutex
	open   map[net.Conn]struct{} // guarded by mu
	closed sync.WaitGroup
}

// onStateChange is the server's ConnState callback.
func (c *connections) onStateChange(conn net.Conn, state fasthttp.ConnState) {
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
		_ = conn.Close() // there is no peer to report the error to
	}
}

// wait returns when every connection is closed. No connection may be opened after it is called.
func (c *connections) wait() { c.closed.Wait() }
