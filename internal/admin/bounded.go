package admin

import (
	"net"
	"sync"
)

// bounded is a listener with at most so many open connections.
type bounded struct {
	net.Listener
	free   chan struct{} // a token for each connection that may be opened
	closed chan struct{}
	close  sync.Once
}

func newBounded(l net.Listener, limit int) *bounded {
	return &bounded{Listener: l, free: make(chan struct{}, limit), closed: make(chan struct{})}
}

// Accept waits until there may be one more connection, and for it.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.free <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &boundedConn{Conn: conn, free: b.free}, nil
}

// Close closes the listener.
func (b *bounded) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// boundedConn returns its token when it is closed.
type boundedConn struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

// Close closes the connection.
func (c *boundedConn) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
