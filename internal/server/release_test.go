package server

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// copyOf returns a listener on the same socket, as another process inherits it.
func copyOf(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inherited, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	return inherited
}

// chunkedPost is a request that takes a connection off its event loop.
func chunkedPost(body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

// releaseTo releases all connections of a server to another one on the same socket, which
// the test stops. While the first one still releases, between is called.
func (s *Server) releaseTo(t *testing.T, next net.Listener, config Config, between func()) (left int) {
	t.Helper()
	released := make(chan int)
	go func() { released <- s.Release(t.Context()) }()
	for !s.releasing.Load() {
		runtime.Gosched()
	}
	between()
	left = <-released
	s.stop(t)
	e := new(echo)
	successor := Serve(next, config, Dependencies{Routes: e.route, Protocol: e, Released: s.Released(), Logger: discard()})
	t.Cleanup(func() { successor.stop(t) })
	return left
}

// Another server continues with all connections: those that are idle, on event loops and on
// goroutines, those whose requests the first server receives and answers, and those that it
// did not accept. No response says that its connection closes, in spite of the DrainDelay.
func TestRelease(t *testing.T) {
	config := patient()
	config.DrainDelay = time.Hour
	s, next, addr := serveCopied(t, config)
	config = defaults()
	clients, halves := make(map[string]*client), make(map[string]string)
	for name, request := range map[string]string{"unused": "", "idle": post("idle"), "idle, by a goroutine": chunkedPost("idle")} {
		clients[name] = dial(t, addr)
		if clients[name].send(request); request != "" {
			clients[name].want(http.StatusOK, "idle")
		}
	}
	for name, request := range map[string]string{"half": post("half"), "half, by a goroutine": chunkedPost("half"), "pipelining": post("half") + post("half")} {
		clients[name], halves[name] = dial(t, addr), request[50:]
		clients[name].send(request[:50])
	}
	head, body, _ := strings.Cut(chunkedPost("half"), "\r\n\r\n")
	clients["received"], halves["received"] = dial(t, addr), body
	clients["received"].send(head + "\r\nExpect: 100-continue\r\n\r\n")
	clients["received"].want(http.StatusContinue, "")
	for s.open() < len(clients) {
		runtime.Gosched()
	}
	left := s.releaseTo(t, next, config, func() {
		for name, rest := range halves {
			clients[name].send(rest)
		}
		clients["not accepted"] = dial(t, addr)
	})
	if left > 0 {
		t.Errorf("%d connections are not released", left)
	}
	for name := range halves { // of either server
		if clients[name].want(http.StatusOK, "half").Close {
			t.Errorf("%s: the response closes the connection", name)
		}
	}
	clients["pipelining"].want(http.StatusOK, "half")
	for name, c := range clients {
		if c.wantEcho("next").Close {
			t.Errorf("%s: the response closes the connection", name)
		}
	}
}

// patient is a configuration of a server that waits for requests for as long as it takes.
func patient() Config {
	config := defaults()
	config.Timeouts.Stop, config.Timeouts.Release = time.Hour, time.Hour
	return config
}

// serveCopied starts a server, and returns a copy of its listener.
func serveCopied(t *testing.T, config Config) (s *Server, next net.Listener, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	next = copyOf(t, l)
	e := new(echo)
	return Serve(l, config, Dependencies{Routes: e.route, Protocol: e, Logger: discard()}), next, l.Addr().String()
}

// A released connection may be idle for as long as any other between two requests.
func TestReleasedConnectionsMayBeIdle(t *testing.T) {
	config := Config{MaxConnections: 1 << 15, Timeouts: Timeouts{Read: time.Millisecond, Idle: time.Hour, Write: time.Hour}}
	s, next, addr := serveCopied(t, patient())
	c := dial(t, addr)
	c.wantEcho("first")
	s.releaseTo(t, next, config, func() {})
	_ = dial(t, addr).ends() // its first request did not begin in time
	c.wantEcho("second")
}

// hidden is a connection with state beside its socket, as an encrypted one.
type hidden struct{ net.Conn }

type hiding struct{ net.Listener }

func (h hiding) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	return hidden{conn}, err
}

// A connection that cannot be released and is idle delays a release by Timeouts.Stop only.
func TestIdleConnectionsWithStateDoNotDelayARelease(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := patient()
	config.Timeouts.Stop = time.Millisecond
	e := new(echo)
	s := Serve(hiding{l}, config, Dependencies{Routes: e.route, Protocol: e, Logger: discard()})
	defer s.stop(t)
	idle := dial(t, l.Addr().String())
	idle.wantEcho("first")
	if left := s.Release(t.Context()); left > 0 || len(s.Released()) > 0 {
		t.Errorf("%d connections are left and %d released, want none", left, len(s.Released()))
	}
	_ = idle.ends()
}

// A connection that cannot be released closes with the response to its next request.
func TestConnectionsWithStateAreNotReleased(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := patient()
	next, e := copyOf(t, l), new(echo)
	s := Serve(hiding{l}, config, Dependencies{Routes: e.route, Protocol: e, Logger: discard()})
	active := dial(t, l.Addr().String())
	active.wantEcho("first")
	left := s.releaseTo(t, next, config, func() {
		if !active.wantEcho("last").Close {
			t.Error("the response does not say that the connection closes")
		}
		_ = active.ends()
	})
	if left > 0 || len(s.Released()) > 0 {
		t.Errorf("%d connections are left and %d released, want none", left, len(s.Released()))
	}
}
