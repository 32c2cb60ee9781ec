//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newTestLoop(t *testing.T) *loop {
	t.Helper()
	l, err := newLoop(make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// bench connects a load to a port, with a process in place of the subject.
func bench(t *testing.T, l *loop, deliveries *ledger, port int, shape traffic) (*testbed, *runningSubject) {
	t.Helper()
	p := startShell(t, "read line")
	text := newPacketText(shape)
	sender, err := newLoad(l, deliveries, []int{port}, 4, nil, func() *request { return newRequest(shape, text) })
	if err != nil {
		t.Fatal(err)
	}
	c := &runningSubject{subject: subject{Name: "test", cores: 1}, subjectConfig: subjectConfig{dir: t.TempDir()}, process: p, text: text, load: sender}
	t.Cleanup(func() { c.close(l) })
	return &testbed{loop: l, ledger: deliveries, cores: []int{0, 1}, timeout: 50 * time.Millisecond}, c
}

// All packets of the load arrive at the analyzers and are accounted for: in
// single requests and in NDJSON, small and larger than a socket buffer.
func TestLoadReachesAnalyzers(t *testing.T) {
	for _, shape := range []traffic{shaped(5, 1), shaped(5, 100), shaped(10_000, 1)} {
		for _, rate := range []float64{0, 200} {
			t.Run(fmt.Sprintf("%+v at %g", shape, rate), func(t *testing.T) {
				l, deliveries := newTestLoop(t), &ledger{}
				places, err := newAnalyzers(l, deliveries, 1, true)
				if err != nil {
					t.Fatal(err)
				}
				defer places.close()
				a, c := bench(t, l, deliveries, places.ports[0], shape)
				for _, e := range c.load.connections {
					// Large requests are written in many pieces.
					if err := unix.SetsockoptInt(e.socket.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					s, err := a.measure(c, 50*time.Millisecond, rate)
					if err != nil {
						t.Fatal(err)
					}
					if s.Packets == 0 || s.Packets%int64(shape.RequestPackets) != 0 || s.Messages != s.Packets*int64(shape.PacketMessages) ||
						s.Refused != 0 || s.Duplicates != 0 || s.Packets != deliveries.next-deliveries.first {
						t.Errorf("%+v, with %d ids given", s, deliveries.next-deliveries.first)
					}
				}
			})
		}
	}
}

// stub is a subject that responds with answer and forwards nothing.
func stub(t *testing.T, handler http.HandlerFunc) int {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

func TestLossIsFound(t *testing.T) {
	l, deliveries := newTestLoop(t), &ledger{}
	port := stub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	a, c := bench(t, l, deliveries, port, shaped(5, 1))
	if s, err := a.measure(c, 20*time.Millisecond, 0); err == nil || !strings.Contains(err.Error(), "LOST") {
		t.Errorf("a subject that forwards nothing gave %+v, %v", s, err)
	}
}

func TestChangedBytesAreFound(t *testing.T) {
	l, deliveries, text := newTestLoop(t), &ledger{}, newPacketText(shaped(1, 1))
	a := &testbed{loop: l, ledger: deliveries, timeout: 50 * time.Millisecond}
	c := &runningSubject{load: &load{}}
	for _, arriving := range []string{string(packetBody(text, 0)), "{}"} {
		deliveries.open(text)
		first := deliveries.assignIDs(1)
		deliveries.accept(first, 1)
		deliveries.arrive(packetBody(text, first))
		deliveries.arrive([]byte(arriving))
		if err := a.awaitDelivery(c); (err != nil) != (arriving == "{}") {
			t.Errorf("after %.20s arrived: %v", arriving, err)
		}
	}
}

// A refusal is not a loss: the load pauses, reconnects when needed, and
// continues.
func TestRefusalsAreCounted(t *testing.T) {
	l, deliveries := newTestLoop(t), &ledger{}
	var responses atomic.Int64
	port := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		switch responses.Add(1) {
		case 1:
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusMultiStatus)
			_, _ = io.WriteString(w, `{"status":"partial","accepted":8,"refused":[{"line":10,"code":"overloaded"},{"line":3,"code":"overloaded"}]}`)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	a, c := bench(t, l, deliveries, port, shaped(5, 10))
	c.subject.terminates = true
	s, err := a.measure(c, 50*time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := 10*responses.Load() - 12; s.Refused != 12 || s.Packets != want || deliveries.missing != want {
		t.Errorf("%d refused, %d accepted; want 12 and %d", s.Refused, s.Packets, want)
	}
}

func TestWrongResponsesAreFaults(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"malformed": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
		"bad list": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusMultiStatus)
			_, _ = io.WriteString(w, `{"refused":[{"line":1,"code":"malformed"}]}`)
		},
		"hang up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		l, deliveries := newTestLoop(t), &ledger{}
		a, c := bench(t, l, deliveries, stub(t, handler), shaped(5, 2))
		if s, err := a.measure(c, 20*time.Millisecond, 0); err == nil {
			t.Errorf("%s gave %+v", name, s)
		}
	}
}
