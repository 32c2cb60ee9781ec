package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

// sendLong has a client answered with more than it reads.
func (s *Server) sendLong(c *client) {
	c.Helper()
	c.wantEcho("first")
	c.send(post(longBody))
	for {
		if _, goroutines := s.Connections(); goroutines > 0 {
			return
		}
		runtime.Gosched()
	}
}

// A client that is slow to read a response delays nobody else, and gets the whole response.
func TestResponseThatIsReadLate(t *testing.T) {
	s, addr := serve(t, new(echo))
	defer s.stop(t)
	c := dial(t, addr)
	s.sendLong(c)
	for range 10 {
		dial(t, addr).wantEcho("other")
	}
	c.want(http.StatusOK, string(longText))
	c.wantEcho("again")
}

// A stop does not cut a response that a client is slow to read, though the client never
// sent anything to the goroutine that has the connection now.
func TestStopWaitsForAResponseThatIsReadLate(t *testing.T) {
	s, addr := serve(t, new(echo))
	c := dial(t, addr)
	s.sendLong(c)
	idle := idleClients(t, addr)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop(t)
	}()
	for _, other := range idle { // until the stop waits for no client any more
		_ = other.ends()
	}
	c.want(http.StatusOK, string(longText))
	_ = c.ends()
	<-stopped
}

// More sockets become ready at once than a poller fetches at once.
func TestManyConnectionsAreReadyAtOnce(t *testing.T) {
	stuck, entered, gate := stuckOnce()
	s, addr := serve(t, &echo{stuck: stuck})
	defer s.stop(t)
	var clients []*client
	for range 512 {
		c := dial(t, addr)
		c.send(post("p"))
		<-entered
		clients = append(clients, c)
	}
	close(gate)
	for _, c := range clients {
		c.want(http.StatusOK, "p")
	}
}

// A body arrives in pieces, with the beginning of the next request behind it.
func TestBodyInPieces(t *testing.T) {
	s, addr := serve(t, new(echo))
	defer s.stop(t)
	for _, size := range []int{1, 1000, 40_000, 128 << 10, 128<<10 + 1, 300_000} {
		body := strings.Repeat("x", size)
		text := post(body) + post("next")
		for _, at := range []int{len(text) - size/2 - 1, len(text) - 4, 20} {
			c := dial(t, addr)
			c.send(text[:at])
			runtime.Gosched()
			go io.WriteString(c.conn, text[at:]) //nolint:errcheck // the responses tell
			c.want(http.StatusOK, body)
			c.want(http.StatusOK, "next")
			c.wantEcho("last")
		}
	}
}

// rejected has a server reject a connection on which a request already waits, and
// returns its client and its other end.
func rejected(t *testing.T, s *Server, request string) (*client, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := dial(t, listener.Addr().String())
	served, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.send(request)
	s.reject(served)
	return c, served
}

// The client of a connection over the limit gets a response, though its request is not
// read, and a stop waits until the connection is gone.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	config := defaults()
	config.Timeouts.Linger = time.Hour
	s, _ := serveWith(t, new(echo), config)
	var last *client
	for range 20 {
		c, _ := rejected(t, s, post(strings.Repeat("x", 100_000)))
		c.send(post(strings.Repeat("x", 100_000)))
		if a := c.want(http.StatusServiceUnavailable, ""); !a.Close || a.Header.Get("Retry-After") != "5" {
			t.Errorf("the response has %v", a.Header)
		}
		_ = c.ends()
		if last != nil {
			_ = last.conn.Close()
		}
		last = c
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop(t)
	}()
	for !s.stopping.Load() {
		runtime.Gosched()
	}
	_ = last.conn.Close()
	<-stopped
	if left := len(s.lingering); left > 0 {
		t.Errorf("%d connections still linger", left)
	}
}

// Few of many connections over the limit linger.
func TestFarTooManyConnections(t *testing.T) {
	s := &Server{deps: Dependencies{Protocol: new(echo)}} // lets none linger
	s.config.Store(new(Config))
	_, served := rejected(t, s, "")
	if _, err := served.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is not closed at once: %v", err)
	}
}

// The memory of a response that an event loop leaves is held until the client has it.
func TestRestIsHeldUntilItIsSent(t *testing.T) {
	served, client := net.Pipe()
	defer client.Close()
	sent := false
	c := &connection{
		Fallback:  eventloop.Fallback{Conn: served, Unsent: []byte("ab"), Sent: func() { sent = true }},
		deadlines: deadlines{sweeper: newDeadlineSweeper(DefaultTimeouts())},
	}
	done := make(chan bool)
	go func() { done <- c.sendRest() }()
	for range 2 {
		if sent {
			t.Error("the memory is released before the response is read")
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if goesOn := <-done; !goesOn || !sent || c.Unsent != nil {
		t.Errorf("continues: %v, released: %v", goesOn, sent)
	}
}

func TestPaths(t *testing.T) {
	for target, want := range map[string]string{
		"/ingest": "/ingest", "/ingest?ack=stored": "/ingest", "/%69ngest": "/ingest", "//ingest": "/ingest",
		"http://host/ingest": "/ingest", "HTTP://host:80/ingest?x": "/ingest", "http://host": "/", "http://host?x": "/",
		"/a://b": "/a:/b", "/%": "/%", "/ingest/": "/ingest/",
	} {
		head, err := http1.Parse([]byte("POST "+target+" HTTP/1.1\r\nHost: t\r\n\r\n"), maxHead)
		if err != nil {
			t.Errorf("%s: %v", target, err)
		} else if got := NewRequest(&head, nil, netip.Addr{}, time.Time{}).Path; got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
