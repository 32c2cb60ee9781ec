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

// bench connects a load to a port, with a process that stands for the subject.
func bench(t *testing.T, l *loop, books *ledger, port int, shape traffic) (*arena, *contender) {
	t.Helper()
	p := waiting(t, "read line")
	text := newPacketText(shape)
	sender, err := newLoad(l, books, port, 4, func() *request { return newRequest(shape, text) })
	if err != nil {
		t.Fatal(err)
	}
	c := &contender{subject: subject{Name: "test", cores: 1}, place: place{folder: t.TempDir()}, process: p, text: text, load: sender}
	t.Cleanup(func() { c.leave(l) })
	return &arena{loop: l, ledger: books, cores: []int{0, 1}, patience: 50 * time.Millisecond}, c
}

// The load's packets, in single requests and in NDJSON, small and larger than
// a socket takes at once, all arrive at the analyzers and are accounted for.
func TestLoadReachesAnalyzers(t *testing.T) {
	for _, shape := range []traffic{shaped(5, 1), shaped(5, 100), shaped(10_000, 1)} {
		for _, rate := range []float64{0, 200} {
			t.Run(fmt.Sprintf("%+v at %g", shape, rate), func(t *testing.T) {
				l, books := newTestLoop(t), &ledger{}
				places, err := newAnalyzers(l, books, 1, true)
				if err != nil {
					t.Fatal(err)
				}
				defer places.close()
				a, c := bench(t, l, books, places.ports[0], shape)
				for _, e := range c.load.connections {
					// Large requests are then written in many pieces.
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
						s.Refused != 0 || s.Duplicates != 0 || s.Packets != books.next-books.first {
						t.Errorf("%+v, with %d ids given", s, books.next-books.first)
					}
				}
			})
		}
	}
}

// stub is a subject that answers as told and forwards nothing.
func stub(t *testing.T, answer http.HandlerFunc) int {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

func TestLossIsFound(t *testing.T) {
	l, books := newTestLoop(t), &ledger{}
	port := stub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	a, c := bench(t, l, books, port, shaped(5, 1))
	if s, err := a.measure(c, 20*time.Millisecond, 0); err == nil || !strings.Contains(err.Error(), "LOST") {
		t.Errorf("a subject that swallows everything gave %+v, %v", s, err)
	}
}

func TestChangedBytesAreFound(t *testing.T) {
	l, books, text := newTestLoop(t), &ledger{}, newPacketText(shaped(1, 1))
	a := &arena{loop: l, ledger: books, patience: 50 * time.Millisecond}
	c := &contender{load: &load{}}
	for _, arriving := range []string{string(packetBody(text, 0)), "{}"} {
		books.open(text)
		first := books.number(1)
		books.accept(first, 1)
		books.arrive(packetBody(text, first))
		books.arrive([]byte(arriving))
		if err := a.settle(c); (err != nil) != (arriving == "{}") {
			t.Errorf("after %.20s arrived: %v", arriving, err)
		}
	}
}

// A refusal is no loss: the load pauses, connects again when it must, and goes on.
func TestRefusalsAreCounted(t *testing.T) {
	l, books := newTestLoop(t), &ledger{}
	var answers atomic.Int64
	port := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		switch answers.Add(1) {
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
	a, c := bench(t, l, books, port, shaped(5, 10))
	c.subject.swallows = true
	s, err := a.measure(c, 50*time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := 10*answers.Load() - 12; s.Refused != 12 || s.Packets != want || books.missing != want {
		t.Errorf("%d refused, %d accepted; want 12 and %d", s.Refused, s.Packets, want)
	}
}

func TestWrongAnswersAreFaults(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"malformed": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
		"bad list": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusMultiStatus)
			_, _ = io.WriteString(w, `{"refused":[{"line":1,"code":"malformed"}]}`)
		},
		"hang up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		l, books := newTestLoop(t), &ledger{}
		a, c := bench(t, l, books, stub(t, answer), shaped(5, 2))
		if s, err := a.measure(c, 20*time.Millisecond, 0); err == nil {
			t.Errorf("%s gave %+v", name, s)
		}
	}
}
