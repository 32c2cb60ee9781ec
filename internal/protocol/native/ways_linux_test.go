//go:build !noeventloop

package native

import (
	"io"
	"net"
	"testing"
)

// TestStreams tests two ways, as long as a connection has requests of the fast path.
func TestWaysDiffer(t *testing.T) {
	for i, w := range bothWays(t, standard()) {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{fixture: &fixture{T: t}, conn: conn}
		c.send(posting("a"))
		server := <-w.accepted
		server.awaitRead(w.closed)
		if loops, goroutines := w.server.Connections(); loops != 1-i || goroutines != i {
			t.Errorf("%s: loops serve %d connections, goroutines %d", w.name, loops, goroutines)
		}
		server.forget()
		_ = conn.(*net.TCPConn).CloseWrite()
		if text, err := io.ReadAll(conn); err != nil || len(text) == 0 {
			t.Errorf("%s: %q, %v", w.name, text, err)
		}
		_ = conn.Close()
	}
}
