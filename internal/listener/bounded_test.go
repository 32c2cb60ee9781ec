package listener

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// fakeConn is a connection from an address.
type fakeConn struct {
	net.Conn
	address string
	closed  bool
}

func (c *fakeConn) RemoteAddr() net.Addr {
	address, _ := net.ResolveTCPAddr("tcp", c.address)
	return address
}

func (c *fakeConn) Close() error {
	c.closed = true
	return nil
}

// fakeClients connect one second after another.
type fakeClients struct {
	server *Bounded
	now    time.Time
	all    []*fakeConn
}

func (c *fakeClients) open(address string) *connection {
	c.now = c.now.Add(time.Second)
	conn := &fakeConn{address: address}
	c.all = append(c.all, conn)
	return c.server.admit(conn, c.now)
}

// wantClosed checks the numbers of the closed connections, in the order of their opening.
func (c *fakeClients) wantClosed(t *testing.T, numbers string) {
	t.Helper()
	var got string
	for i, conn := range c.all {
		if conn.closed {
			got += fmt.Sprint(i, " ")
		}
	}
	if got != numbers {
		t.Errorf("closed are %s, want %s", got, numbers)
	}
}

// A new connection over the limit displaces the connection that has been idle for the longest
// time: among those of its own address when that address is over its limit.
func TestConnectionsAreBounded(t *testing.T) {
	displaced := 0
	bounded := NewBounded(nil, 4, 3, func() { displaced++ })
	clients := &fakeClients{server: bounded, now: time.Unix(1, 0)}
	open, want := clients.open, func(numbers string) { t.Helper(); clients.wantClosed(t, numbers) }
	const one, other, third = "192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"
	busy := open(one) // 0
	bounded.Changed(busy, http.StateActive)
	open(other) // 1
	open(one)   // 2
	open(one)   // 3
	want("")
	open(one) // 4: the third connection of its address
	want("2 ")
	open(third) // 5: four connections are open
	want("1 2 ")
	bounded.Changed(busy, http.StateIdle) // idle since now, so not the oldest
	open(other)                           // 6
	want("1 2 3 ")
	_ = clients.all[5].Close()
	for conn := range bounded.open {
		bounded.Changed(conn, http.StateActive)
	}
	if open(third) != nil { // 7: all others are busy
		t.Error("there are five connections")
	}
	want("1 2 3 5 7 ")
	_ = busy.Close()
	_ = busy.Close()
	if open(third) == nil || len(bounded.open) != 4 { // 8
		t.Errorf("%d connections are open", len(bounded.open))
	}
	if displaced != 4 {
		t.Errorf("%d are counted", displaced)
	}
}

// fakeListener is closed without an effect.
type fakeListener struct{ net.Listener }

func (fakeListener) Close() error { return nil }

// The end of the listener closes the connections that have had no request: the server closes the
// others, with the responses to their requests.
func TestUnusedConnectionsEndWithTheListener(t *testing.T) {
	bounded := NewBounded(fakeListener{}, 4, 4, func() {})
	clients := &fakeClients{server: bounded, now: time.Unix(1, 0)}
	busy, idle := clients.open("192.0.2.1:1"), clients.open("192.0.2.1:2")
	clients.open("192.0.2.1:3")
	bounded.Changed(busy, http.StateActive)
	bounded.Changed(idle, http.StateActive)
	bounded.Changed(idle, http.StateIdle)
	if err := bounded.Close(); err != nil {
		t.Error(err)
	}
	clients.wantClosed(t, "2 ")
}
