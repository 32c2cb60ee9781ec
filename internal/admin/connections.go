package admin

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// connections is a listener that bounds the open connections in total and of each client address. A
// new connection over a limit displaces the connection that has been idle for the longest time,
// among those of its own address if that limit is reached; if no connection is idle, the new
// connection is closed. So clients with idle connections do not keep other clients out.
type connections struct {
	net.Listener
	limit, perAddress int
	displaced         prometheus.Counter

	mu   sync.Mutex // guards open, and the field idle of the connections
	open map[*connection]bool
}

// connection is an open connection.
type connection struct {
	net.Conn
	of      *connections
	address netip.Addr
	idle    time.Time // since when the connection has no request; zero: it has one
}

func newConnections(l net.Listener, limit, perAddress int, displaced prometheus.Counter) *connections {
	return &connections{Listener: l, limit: limit, perAddress: perAddress, displaced: displaced, open: make(map[*connection]bool)}
}

// Accept waits for a connection within the limits.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := c.admit(conn, time.Now()); admitted != nil {
			return admitted, nil
		}
	}
}

// admit returns the connection as an open one, or closes it and returns nil.
func (c *connections) admit(conn net.Conn, now time.Time) *connection {
	admitted := &connection{Conn: conn, of: c, address: clientAddress(conn.RemoteAddr().String()), idle: now}
	added, victim := c.add(admitted)
	if victim != nil {
		c.displaced.Inc()
		_ = victim.Close()
	}
	if !added {
		return nil
	}
	return admitted
}

// add adds a connection unless a limit is reached and no connection is idle. The victim, unless
// nil, is the connection that the caller closes: an idle one, or the new one if it was not added.
func (c *connections) add(one *connection) (added bool, victim *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle, idleThere *connection // idle for the longest time
	there := 0
	for other := range c.open {
		if other.address == one.address {
			there++
			idleThere = longerIdle(idleThere, other)
		}
		idle = longerIdle(idle, other)
	}
	switch {
	case there >= c.perAddress:
		victim = idleThere
	case len(c.open) >= c.limit:
		victim = idle
	default:
		c.open[one] = true
		return true, nil
	}
	if victim == nil {
		return false, one
	}
	delete(c.open, victim)
	c.open[one] = true
	return true, victim
}

func longerIdle(a, b *connection) *connection {
	if b.idle.IsZero() || a != nil && a.idle.Before(b.idle) {
		return a
	}
	return b
}

// changed records whether a connection has a request. It is the ConnState of a server.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	one, ok := conn.(*connection)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateActive:
		one.idle = time.Time{}
	case http.StateIdle:
		one.idle = time.Now()
	}
}

// Close closes the connection.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
