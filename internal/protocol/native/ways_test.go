package native

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// plainListener accepts connections without a descriptor to poll, so that each connection is served
// by a goroutine.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{conn}, nil
}

// servedWay is a server with one of the two ways of serving requests.
type servedWay struct {
	*fixture
	name string
	form func(body string, headers ...string) string
	// keep is the connection for the next request, unless nil.
	keep *client
}

func inChunks(body string, headers ...string) string {
	return chunked(body, max(1, len(body)/3), headers...)
}

// serveBothWays starts a server with event loops for bodies of a known length, and one with
// goroutines for bodies in chunks.
func serveBothWays(t *testing.T, o options) []*servedWay {
	t.Helper()
	plain := &fixture{T: t, journal: &greedyJournal{}}
	plain.handler = newHandler(t, o, plain.journal)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := serveOn(plainListener{listener}, plain.handler, o.server)
	t.Cleanup(func() {
		if err := server.Stop(contextOf(t)); err != nil {
			t.Error(err)
		}
		if left := plain.handler.memory.Held(); left != 0 {
			t.Errorf("%d bytes of requests are still counted as held", left)
		}
	})
	plain.addr = listener.Addr().String()
	return []*servedWay{
		{fixture: serve(t, o), name: "loop", form: post},
		{fixture: plain, name: "goroutine", form: inChunks},
	}
}

// send sends a body on a connection that stays open as long as the responses
// allow, and returns the response and the bodies of the packets that were stored.
func (w *servedWay) send(t *testing.T, request string) (response, []string) {
	t.Helper()
	w.journal.mu.Lock()
	w.journal.taken = nil
	w.journal.mu.Unlock()
	if w.keep == nil {
		w.keep = w.dial()
	}
	_ = w.keep.conn.SetDeadline(time.Now().Add(time.Minute))
	w.keep.send(request)
	a := w.keep.readResponse()
	if a.Close {
		_ = w.keep.conn.Close()
		w.keep = nil
	}
	var bodies []string
	for _, r := range w.journal.records() {
		bodies = append(bodies, r.body)
	}
	return a, bodies
}

// expectation is the expected result of a case: a code, or "" and the packets that are stored.
type expectation struct {
	status int
	code   problem.Code
	stored []string
}

func wantStored(bodies ...string) expectation {
	return expectation{status: http.StatusAccepted, stored: bodies}
}

func rejected(code problem.Code) expectation { return expectation{status: code.Status(), code: code} }

// check sends a body and compares all results.
func (w *servedWay) check(t *testing.T, name, body string, want expectation, headers ...string) response {
	t.Helper()
	a, stored := w.send(t, w.form(body, headers...))
	if a.StatusCode != want.status || !slices.Equal(stored, want.stored) {
		t.Errorf("%s: %s: status %d, stored %.200q, want %d, %.200q: %.300s",
			w.name, name, a.StatusCode, stored, want.status, want.stored, a.text)
		return a
	}
	if want.code != "" && !strings.Contains(a.text, `"code":"`+string(want.code)+`"`) {
		t.Errorf("%s: %s: %.300s, want %s", w.name, name, a.text, want.code)
	}
	return a
}
