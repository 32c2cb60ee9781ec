package admin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// countingListener counts the writes to its connections, and those that begin with an overview.
type countingListener struct {
	net.Listener
	writes, overviews atomic.Int64
}

type countedConn struct {
	net.Conn
	*countingListener
}

// Accept implements net.Listener.
func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l}, err
}

// Write implements io.Writer.
func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	if bytes.HasPrefix(p, []byte("event: overview\n")) {
		c.overviews.Add(1)
	}
	return c.Conn.Write(p)
}

// A write is most of what an event costs for each viewer: one is enough, whatever the size.
func TestEventIsOneWrite(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, sizes := &countingListener{Listener: inner}, make(chan int)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		for s := newStream(w, r); s.continues(); {
			size, more := <-sizes
			if !more {
				return
			}
			s.sendText("snapshot", "b-1", []byte(strings.Repeat("x", size)))
		}
	})}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Close() }()
	response, err := http.Get("http://" + inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body := bufio.NewReader(response.Body)
	for _, size := range []int{10, 3000, 5000, 200_000} {
		before := l.writes.Load()
		sizes <- size
		want := fmt.Sprintf("event: snapshot\nid: b-1\ndata: %s\n\n", strings.Repeat("x", size))
		if got, err := io.ReadAll(io.LimitReader(body, int64(len(want)))); err != nil || string(got) != want {
			t.Fatalf("%d bytes: %d bytes %v", size, len(got), err)
		}
		if n := l.writes.Load() - before; n != 1 {
			t.Errorf("an event of %d bytes took %d writes", size, n)
		}
	}
	close(sizes)
	if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
		t.Errorf("after the end: %q %v", rest, err)
	}
}

// An overview comes with a snapshot, in one write.
func TestOverviewIsNoWriteOfItsOwn(t *testing.T) {
	s := startSystem(t, "")
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	watcher, err := filewatch.New(slog.New(slog.DiscardHandler), nil)
	s.must(err)
	access, err := NewAccess(s.Config().Admin, watcher, nil)
	s.must(err)
	l := &countingListener{Listener: inner}
	server, err := Serve(l, Dependencies{Controller: s.Controller, Access: access, DataDir: t.TempDir(), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	s.must(err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) }) // the stream is closed before
	s.url = "http://" + inner.Addr().String()
	stream := s.follow("/v1/stream?overview=true")
	defer stream.close()
	for overviews := 0; overviews < 3; {
		if event, _, _ := stream.next(); event == "overview" {
			overviews++
		}
	}
	if n := l.overviews.Load(); n != 1 {
		t.Errorf("%d of 3 overviews were written alone; the first one is", n)
	}
}
