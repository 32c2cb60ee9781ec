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

// connections is a listener that bounds the open connections: all, and those of one client
// address. One more takes the place of the one that has been idle for the longest time, of
// its address if that has too many; if none is idle it is closed. So clients that only hold
// connections keep nobody out, and those of one address no other.
type connections struct {
	net.Listener
	limit, perAddress int
	displaced         prometheus.Counter

	mu   sync.Mutex // guards open, and the connections' idle
	open map[*connection]bool
}

// connection is an open connection.
type connection struct {
	net.Conn
	of      *connections
	address netip.Addr
	idle    time.Time // since when there has been no request; zero: there is one
}

func newConnections(l net.Listener, limit, perAddress int, displaced prometheus.Counter) *connections {
	return &connections{Listener: l, limit: limit, perAddress: perAddress, displaced: displaced, open: make(map[*connection]bool)}
}

// Accept waits for a connection for which there is room.
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
	room, victim := c.makeRoom(admitted)
	if victim != nil {
		c.displaced.Inc()
		_ = victim.Close()
	}
	if !room {
		return nil
	}
	return admitted
}

// makeRoom adds a connection, if there is room for it. The victim is what is to be closed.
func (c *connections) makeRoom(added *connection) (room bool, victim *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle, idleThere *connection // for the longest time
	there := 0
	for one := range c.open {
		if one.address == added.address {
			there++
			idleThere = longerIdle(idleThere, one)
		}
		idle = longerIdle(idle, one)
	}
	switch {
	case there >= c.perAddress:
		victim = idleThere
	case len(c.open) >= c.limit:
		victim = idle
	default:
		c.open[added] = true
		return true, nil
	}
	if victim == nil {
		return false, added
	}
	delete(c.open, victim)
	c.open[added] = true
	return true, victim
}

func longerIdle(a, b *connection) *connection {
	if b.idle.IsZero() || a != nil && a.idle.Before(b.idle) {
		return a
	}
	return b
}

// changed notes whether a request is under way on a connection. It is the ConnState of a
// server.
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
