package stream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo repeats each line.
func echo(_ context.Context, c Conn) {
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		_, _ = fmt.Fprintf(c, "%s from %s\n", lines.Text(), c.Client)
	}
}

func serve(t *testing.T, maxConnections int, deps Dependencies) (s *Server, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deps.Logger = slog.New(slog.DiscardHandler)
	s = Serve(l, maxConnections, deps)
	t.Cleanup(func() { _ = s.Stop(t.Context()) })
	return s, l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ask(conn net.Conn) (response string, err error) {
	if _, err := fmt.Fprintln(conn, "line"); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func TestServe(t *testing.T) {
	s, address := serve(t, 10, Dependencies{Handler: echo})
	conn := dial(t, address)
	if response, err := ask(conn); response != "line from 127.0.0.1\n" || err != nil {
		t.Errorf("%q, %v", response, err)
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the stop: %v", err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the listener is not closed")
	}
}

// If a handler does not end, its connection is closed at the deadline of the stop.
func TestStopClosesConnections(t *testing.T) {
	s, address := serve(t, 10, Dependencies{Handler: func(ctx context.Context, c Conn) {
		<-ctx.Done() // reads fail now; writes do not
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}})
	conn := dial(t, address)
	for s.Connections() == 0 {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// A client that holds connections does not get the last free one.
func TestLimit(t *testing.T) {
	var rejected atomic.Int32
	_, address := serve(t, 3, Dependencies{Handler: echo, Rejected: func() { rejected.Add(1) }})
	for n := range 3 {
		_, err := ask(dial(t, address))
		if (err == nil) != (n < 2) {
			t.Errorf("connection %d: %v", n, err)
		}
	}
	if rejected.Load() != 1 {
		t.Errorf("%d connections are rejected", rejected.Load())
	}
}

// What a client has sent before it learns of the end is read: Stop ends the client's reads first.
func TestStopReadsWhatWasSent(t *testing.T) {
	begun, read := make(chan struct{}), make(chan string, 1)
	s, address := serve(t, 10, Dependencies{OneWay: true, Handler: func(_ context.Context, c Conn) {
		close(begun)
		content, _ := io.ReadAll(c)
		read <- string(content)
	}})
	conn := dial(t, address)
	go func() {
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1)) // the end
		_, _ = io.WriteString(conn, "late")
	}()
	<-begun
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-read; got != "late" {
		t.Errorf("%q was read, want %q", got, "late")
	}
}
