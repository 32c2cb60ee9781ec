package otlp

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/listener"
)

// boundedListener closes connections over a limit.
type boundedListener struct {
	*listener.Retrying
	clients *clientquota.Quota
}

// boundListener bounds the connections of a listener: those of one client to eight times as
// many as are free.
func boundListener(l net.Listener, maxConnections int, logger *slog.Logger) *boundedListener {
	return &boundedListener{listener.NewRetrying(l, logger), clientquota.New(int64(maxConnections), arrivingFactor)}
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
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.closed.Do(func() { c.clients.Give(c.client, 1) })
	return c.Conn.Close()
}
