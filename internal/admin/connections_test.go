package admin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/logstreamer/logstreamer/internal/control"
)

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
