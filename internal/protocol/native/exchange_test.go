package native

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/server"
)

// way is a server that serves all connections in one of the two ways.
type way struct {
	name     string
	addr     string
	journal  *greedyJournal
	server   *server.Server
	accepted chan *acceptedConn
}

// newWay starts a server. A server with hidden sockets serves each connection in a goroutine; the
// other one has event loops.
func newWay(t testing.TB, name string, hidden bool, o options) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{name: name, addr: l.Addr().String(), journal: &greedyJournal{}, accepted: make(chan *acceptedConn, 1)}
	o.native.MaxBodyBytes, o.intake.AckTimeout = 256<<10, 10*time.Millisecond
	h := newHandler(t, o, w.journal)
	if h.auth != nil {
		h.auth.failures = new(credential.Failures) // without a limit
	}
	w.server = serveOn(&watchingListener{Listener: l, hidden: hidden, accepted: w.accepted}, h, o.server)
	t.Cleanup(func() {
		if err := w.server.Stop(contextOf(t)); err != nil {
			t.Error(err)
		}
		if left := h.memory.Held(); left != 0 {
			t.Errorf("%s: %d bytes of requests are still counted as held", name, left)
		}
	})
	return w
}

// closed reports whether the server has closed all connections that it accepted.
func (w *way) closed() bool { return openOn(w.server) == 0 }

// bothWays has a server of each way.
func bothWays(t testing.TB, o options) [2]*way {
	t.Helper()
	return [2]*way{newWay(t, "loop", false, o), newWay(t, "goroutine", true, o)}
}

// watchingListener passes on a copy of each accepted connection, which shows how much was read.
type watchingListener struct {
	net.Listener
	hidden   bool
	accepted chan<- *acceptedConn
	before   *acceptedConn
}

// hiddenConn has no SyscallConn, so no event loop takes it.
type hiddenConn struct{ net.Conn }

// CloseWrite implements the half-close of the connection.
func (c hiddenConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// Accept waits for a connection. Its caller has taken the previous connection.
func (l *watchingListener) Accept() (net.Conn, error) {
	if l.before != nil {
		l.accepted <- l.before
		l.before = nil
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.before = watch(conn)
	if l.hidden {
		return hiddenConn{conn}, nil
	}
	return conn, nil
}

// outcome is the result of a stream.
type outcome struct {
	responses []seen
	interims  int
	packets   []string // their bodies
}

// seen is a response without the parts that may differ between runs.
type seen struct {
	status     int
	code       string
	connection string
	allow      string
	bodiless   bool
	faults     string // violations of the rules for every response
}

// exchange sends pieces on a connection, each when the previous ones were read, and then
// half-closes the connection or not. It reads the responses to the end. It must not be used
// concurrently.
func (w *way) exchange(pieces []string, cut bool) (outcome, error) {
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = conn.Close() }()
	server := <-w.accepted
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // only so that a failure ends
	received := make(chan error, 1)
	var text []byte
	go func() {
		var err error
		text, err = io.ReadAll(conn)
		received <- err
	}()
	for i, piece := range pieces {
		if i > 0 {
			server.awaitRead(w.closed)
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			break // the server has closed the connection, which its response must announce
		}
	}
	if cut {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	server.forget()
	if err := <-received; err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return outcome{}, fmt.Errorf("%w, after %q", err, text)
	}
	o, err := parseResponses(string(text))
	for _, r := range w.journal.empty() {
		o.packets = append(o.packets, r.body)
	}
	return o, err
}

// empty returns the packets that were taken, and removes them.
func (j *greedyJournal) empty() []record {
	j.mu.Lock()
	defer j.mu.Unlock()
	taken := j.taken
	j.taken = nil
	return taken
}

// parseAnswers parses responses to the end of the text.
func parseResponses(text string) (o outcome, err error) {
	for len(text) > 0 {
		at := strings.Index(text, headEnd)
		if at < 0 {
			return o, fmt.Errorf("no whole response: %q", text)
		}
		behind := text[at+len(headEnd):]
		to := &http.Request{Method: http.MethodGet}
		if behind == "" || strings.HasPrefix(behind, "HTTP/1.1 ") {
			to.Method = http.MethodHead
		}
		source := strings.NewReader(text)
		reader := bufio.NewReader(source)
		response, err := http.ReadResponse(reader, to)
		if err != nil {
			return o, fmt.Errorf("no response: %w: %q", err, text)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return o, fmt.Errorf("no whole response: %w: %q", err, text)
		}
		text = text[len(text)-source.Len()-reader.Buffered():]
		if response.StatusCode == http.StatusContinue {
			o.interims++
			continue
		}
		o.responses = append(o.responses, newSeen(response, body))
	}
	return o, nil
}

func newSeen(r *http.Response, body []byte) seen {
	s := seen{status: r.StatusCode, connection: r.Header.Get("Connection"), allow: r.Header.Get("Allow"), bodiless: len(body) == 0}
	if r.Close && s.connection == "" { // ReadResponse takes it away
		s.connection = "close"
	}
	var document struct{ Code string }
	if json.Unmarshal(body, &document) == nil {
		s.code = document.Code
	}
	var faults []string
	if _, err := http.ParseTime(r.Header.Get("Date")); err != nil {
		faults = append(faults, "no Date")
	}
	if r.Header.Get("Content-Length") == "" {
		faults = append(faults, "no Content-Length")
	}
	if _, has := r.Header["Server"]; has {
		faults = append(faults, "a Server field")
	}
	if len(r.TransferEncoding) > 0 || r.Proto != "HTTP/1.1" {
		faults = append(faults, "not HTTP/1.1 with a length")
	}
	s.faults = strings.Join(faults, ", ")
	return s
}

// same reports whether two outcomes are equal except for interim responses, which depend on when
// bodies arrive.
func (o outcome) same(other outcome) bool {
	return slices.Equal(o.responses, other.responses) && slices.Equal(o.packets, other.packets)
}
