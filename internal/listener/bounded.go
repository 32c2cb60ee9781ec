package listener

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/clientquota"
)

// Bounded is a listener that bounds the open connections in total and of each client address. A
// new connection over a limit displaces the connection that has been idle for the longest time,
// among those of its own address if that limit is reached; if no connection is idle, the new
// connection is closed. So clients with idle connections do not keep other clients out. The ConnState of
// its http.Server is Changed.
type Bounded struct {
	net.Listener
	limit, perAddress int
	displaced         func()

	mu   sync.Mutex // guards open, and the fields idle and used of the connections
	open map[*connection]bool
}

// connection is an open connection.
type connection struct {
	net.Conn
	of      *Bounded
	address netip.Addr
	idle    time.Time // since when the connection has no request; zero: it has one
	used    bool      // it has had a request
}

// NewBounded returns a listener with at most limit open connections, and perAddress of one client
// address. It calls displaced for each connection that it closes, concurrently.
func NewBounded(l net.Listener, limit, perAddress int, displaced func()) *Bounded {
	return &Bounded{Listener: l, limit: limit, perAddress: perAddress, displaced: displaced, open: make(map[*connection]bool)}
}

// Close closes the listener and the connections that have had no request: http.Server.Shutdown, which
// calls it, would wait for five seconds for their first one.
func (b *Bounded) Close() error {
	err := b.Listener.Close()
	for _, one := range b.unused() {
		_ = one.Close()
	}
	return err
}

func (b *Bounded) unused() (unused []*connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for one := range b.open {
		if !one.used {
			unused = append(unused, one)
		}
	}
	return unused
}

// Accept waits for a connection within the limits.
func (b *Bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := b.admit(conn, time.Now()); admitted != nil {
			return admitted, nil
		}
	}
}

// admit returns the connection as an open one, or closes it and returns nil.
func (b *Bounded) admit(conn net.Conn, now time.Time) *connection {
	admitted := &connection{Conn: conn, of: b, address: clientquota.ClientOf(conn.RemoteAddr()), idle: now}
	added, victim := b.add(admitted)
	if victim != nil {
		b.displaced()
		_ = victim.Close()
	}
	if !added {
		return nil
	}
	return admitted
}

// add adds a connection unless a limit is reached and no connection is idle. The victim, unless
// nil, is the connection that the caller closes: an idle one, or the new one if it was not added.
func (b *Bounded) add(one *connection) (added bool, victim *connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var idle, idleThere *connection // idle for the longest time
	there := 0
	for other := range b.open {
		if other.address == one.address {
			there++
			idleThere = longerIdle(idleThere, other)
		}
		idle = longerIdle(idle, other)
	}
	switch {
	case there >= b.perAddress:
		victim = idleThere
	case len(b.open) >= b.limit:
		victim = idle
	default:
		b.open[one] = true
		return true, nil
	}
	if victim == nil {
		return false, one
	}
	delete(b.open, victim)
	b.open[one] = true
	return true, victim
}

func longerIdle(a, b *connection) *connection {
	if b.idle.IsZero() || a != nil && a.idle.Before(b.idle) {
		return a
	}
	return b
}

// Changed records whether a connection has a request.
func (b *Bounded) Changed(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	one, ok := conn.(*connection)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch state {
	case http.StateActive:
		one.idle, one.used = time.Time{}, true
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
