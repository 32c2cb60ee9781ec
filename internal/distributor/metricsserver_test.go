package distributor

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Anybody may connect to the metrics. Connections without a request do not keep others out, and do not
// take the descriptors of the process: the oldest ones are closed.
func TestMetricsConnectionsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serveMetrics(l, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	defer func() { _ = s.stop(t.Context()) }()
	var first net.Conn
	for range maxMetricsConnections {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // of a test
		if first == nil {
			first = conn
		}
		if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
	}
	_ = first.SetReadDeadline(time.Now().Add(time.Minute)) // a hang would be a failure
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the first connection: %v", err)
	}
}
