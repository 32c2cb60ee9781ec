package native

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// A request that has partly arrived when the server stops has Timeouts.Stop for the rest.
func TestStopWaitsForRequests(t *testing.T) {
	o := standard()
	o.server.Timeouts.Stop = time.Hour
	f, server := stoppable(t, o, &greedyJournal{})
	c := f.dial()
	head, body, _ := strings.Cut(post(aPacket("p", 0), "Expect: 100-continue"), "\r\n\r\n")
	c.send(head + "\r\n\r\n")
	if a := c.readResponse(); a.StatusCode != http.StatusContinue {
		t.Fatal(a.Status)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop(t.Context()) }()
	f.untilNobodyListens()
	c.send(body)
	a := c.readResponse()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	a.wantAccepted(t, "p")
	c.wantClosed(a)
}

// A client that stalls within a request does not hold up a stop: its request is refused
// as draining. A client that sends nothing gets no response.
func TestStopDoesNotWaitForClients(t *testing.T) {
	o := standard()
	timeouts := &o.server.Timeouts
	timeouts.Read, timeouts.Idle, timeouts.Write = time.Hour, time.Hour, time.Hour
	var log strings.Builder
	f, server := stoppableLogged(t, o, &greedyJournal{}, debugLogger(&log))
	stalled, idle := f.stalledClients(t), f.idleClients(t)
	for openOn(server) < len(stalled)+len(idle) {
		runtime.Gosched()
	}
	for range runtime.GOMAXPROCS(0) { // each event loop has read all earlier data
		f.exchange(post("{}")).wantRefusal(t, 400, problem.InvalidPacket)
	}

	f.handler.intake.Drain()
	if err := server.Stop(contextOf(t)); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "cut off") {
		t.Errorf("the stop waited for clients: %s", log.String())
	}
	for name, c := range stalled {
		t.Run(name, func(t *testing.T) {
			a := c.readResponse()
			a.wantRefusal(t, 503, problem.Draining)
			c.wantClosed(a)
		})
	}
	for name, c := range idle {
		if n, err := io.Copy(io.Discard, c.reader); n != 0 || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	f.wantCounted(map[problem.Code]int{problem.Draining: len(stalled), problem.InvalidPacket: 4 + runtime.GOMAXPROCS(0)})
}

// stalledClients returns clients that have sent a part of a request. Two of them have sent a
// whole request before, which was refused as an invalid packet.
func (f *fixture) stalledClients(t *testing.T) map[string]*client {
	t.Helper()
	body, large := aPacket("p", 1000), aPacket("p", 500_000)
	stalled := make(map[string]*client)
	for name, request := range map[string]string{
		"header":         "POST /ingest HTTP/1.1\r\nHost",
		"no body":        strings.TrimSuffix(post(body), body),
		"small body":     strings.TrimSuffix(post(body), "}"),
		"large body":     post(large)[:400_000],
		"chunk":          chunked(body, 100)[:300],
		"encoded":        post(body, "Content-Encoding: gzip")[:300],
		"second request": post("{}") + post(body)[:300],
		"second chunk":   chunked("{}", 1) + chunked(body, 100)[:300],
	} {
		stalled[name] = f.dial()
		stalled[name].send(request)
		if strings.HasPrefix(name, "second") {
			stalled[name].readResponse().wantRefusal(t, 400, problem.InvalidPacket)
		}
	}
	invited := f.dial()
	invited.send(strings.TrimSuffix(post(body, "Expect: 100-continue"), body))
	if a := invited.readResponse(); a.StatusCode != http.StatusContinue {
		t.Fatal(a.Status)
	}
	stalled["invited"] = invited
	return stalled
}

// idleClients returns clients that have sent nothing, or whole requests, which were refused as
// invalid packets.
func (f *fixture) idleClients(t *testing.T) map[string]*client {
	t.Helper()
	idle := map[string]*client{"fresh": f.dial(), "between requests": f.dial(), "between chunks": f.dial()}
	idle["between requests"].send(post("{}"))
	idle["between requests"].readResponse().wantRefusal(t, 400, problem.InvalidPacket)
	idle["between chunks"].send(chunked("{}", 1))
	idle["between chunks"].readResponse().wantRefusal(t, 400, problem.InvalidPacket)
	return idle
}

// A stop ends, even if it comes immediately after the start.
func TestStopAtOnce(t *testing.T) {
	h := newHandler(t, standard(), &greedyJournal{})
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := serveOn(l, h, standard().server)
		if err := server.Stop(contextOf(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Fatal("it still listens")
		}
	}
}

// For DrainDelay a stop refuses requests on open and on new connections, and each response ends its
// connection.
func TestStopRefusesBeforeItClosesTheListener(t *testing.T) {
	o := standard()
	o.server.DrainDelay = time.Hour
	h := newHandler(t, o, sink{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := serveOn(listener, h, o.server)
	f := &fixture{T: t, handler: h, addr: listener.Addr().String()}
	open := f.dial()
	open.wantReusable()
	h.intake.Drain()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- server.Stop(ctx) }()
	for !f.exchange(post(aPacket("p", 0))).Close { // until the stop has begun
		runtime.Gosched()
	}
	for _, c := range []*client{open, f.dial(), f.dial()} {
		c.send(post(aPacket("p", 0)))
		a := c.readResponse()
		a.wantRefusal(t, 503, problem.Draining)
		c.wantClosed(a)
	}
	if why := h.Ready(); why == nil || why.Code != problem.Draining {
		t.Errorf("it says that it is ready: %v", why)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", f.addr); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

func TestResponsesHaveDate(t *testing.T) {
	f := serve(t, standard())
	for _, request := range []string{post(aPacket("p", 0)), post("{"), post(aPacket("p", 0), "Connection: close"), "rubbish\r\n\r\n", "GET /other HTTP/1.1\r\nHost: t\r\n\r\n"} {
		a := f.exchange(request)
		if date, err := http.ParseTime(a.Header.Get("Date")); err != nil || time.Since(date).Abs() > time.Minute {
			t.Errorf("%.20q: Date %q", request, a.Header.Get("Date"))
		}
	}
}
