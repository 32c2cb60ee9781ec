package otlp

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/listener"
)

// clientFactor bounds the connections of one client to a multiple of the free connections.
const clientFactor = 8

// boundedListener closes connections over a limit.
type boundedListener struct {
	*listener.Retrying
	clients *clientquota.Quota
}

// boundListener bounds the connections of a listener, and the connections of one client to eight
// times the free ones.
func boundListener(l net.Listener, maxConnections int, logger *slog.Logger) *boundedListener {
	return &boundedListener{listener.NewRetrying(l, logger), clientquota.New(int64(maxConnections), clientFactor)}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Retrying.Accept()
		if err != nil {
			return nil, err
		}
		client := clientquota.ClientOf(conn.RemoteAddr())
		if l.clients.Take(client, 1) {
			return &boundedConn{Conn: conn, clients: l.clients, client: client}, nil
		}
		_ = conn.Close()
	}
}

// boundedConn is a connection that counts until it is closed.
type boundedConn struct {
	net.Conn
	clients *clientquota.Quota
	client  netip.Addr
	closed  sync.Once
	// received is set once the client has sent data.
	received atomic.Bool
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.received.Load() {
		c.received.Store(true)
	}
	return n, err
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.closed.Do(func() { c.clients.Give(c.client, 1) })
	return c.Conn.Close()
}
