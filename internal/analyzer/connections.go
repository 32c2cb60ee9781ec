package analyzer

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

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

// steadyListener goes on when it fails to accept one connection, such as when
// too many files are open. The server would give up the listener.
type steadyListener struct {
	net.Listener
	logger *slog.Logger
	close  sync.Once
	err    error // of closing
}

// Close may be called again, by the server too.
func (l *steadyListener) Close() error {
	l.close.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// Accept waits for the next connection, or returns net.ErrClosed.
func (l *steadyListener) Accept() (net.Conn, error) {
	const longestPause = time.Second
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, longestPause) {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		if pause < longestPause {
			l.logger.Error("a connection cannot be accepted, trying again", "error", err)
		}
		time.Sleep(pause)
	}
}
