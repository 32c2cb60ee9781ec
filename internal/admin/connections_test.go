package admin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/control"
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
	server *connections
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
	displaced := prometheus.NewCounter(prometheus.CounterOpts{Name: "displaced"})
	bounded := newConnections(nil, 4, 3, displaced)
	clients := &fakeClients{server: bounded, now: time.Unix(1, 0)}
	open, want := clients.open, func(numbers string) { t.Helper(); clients.wantClosed(t, numbers) }
	const one, other, third = "192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"
	busy := open(one) // 0
	bounded.changed(busy, http.StateActive)
	open(other) // 1
	open(one)   // 2
	open(one)   // 3
	want("")
	open(one) // 4: the third connection of its address
	want("2 ")
	open(third) // 5: four connections are open
	want("1 2 ")
	bounded.changed(busy, http.StateIdle) // idle since now, so not the oldest
	open(other)                           // 6
	want("1 2 3 ")
	_ = clients.all[5].Close()
	for conn := range bounded.open {
		bounded.changed(conn, http.StateActive)
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
	if got := testutil.ToFloat64(displaced); got != 4 {
		t.Errorf("%v are counted", got)
	}
}

// Idle connections of other clients do not prevent a request.
func TestIdleConnectionsAreDisplaced(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := serveProbes(t, l, control.AdminConfig{}, nil)
	defer stop(t, server)
	for range maxConnections + 1 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // of a test
		if _, err := fmt.Fprint(conn, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
}
