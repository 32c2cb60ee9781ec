package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a protocol that answers with the body of the request.
type echo struct {
	// stuck, unless nil, is called when a body has arrived.
	stuck func()
	work  time.Duration // of a request that a goroutine serves
}

// longBody is the body of a request that is answered with longText.
const longBody = "long"

var longText = bytes.Repeat([]byte("0123456789"), 1<<20)

func (e *echo) answer(body []byte, to *http1.Response) {
	if e.stuck != nil {
		e.stuck()
	}
	if string(body) == longBody {
		body = longText
	}
	to.SetJSON(http.StatusOK, append(to.Body[:0], body...))
}

func (e *echo) route(r *Request, to *http1.Response) {
	time.Sleep(e.work)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.RefuseUnreadable(err, to)
		return
	}
	e.answer(body, to)
}

func (e *echo) RefuseUnreadable(err error, to *http1.Response) {
	status := http.StatusBadRequest
	if errors.Is(err, os.ErrDeadlineExceeded) {
		status = http.StatusRequestTimeout
	}
	to.SetJSON(status, []byte(err.Error()))
}

func (e *echo) RefuseConnection(detail string, retryAfter int, to *http1.Response) {
	to.SetJSON(http.StatusServiceUnavailable, []byte(detail))
	to.RetryAfter = retryAfter
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// defaults is a configuration of a server whose clients may take as long as they need.
func defaults() Config {
	timeouts := DefaultTimeouts()
	timeouts.Read, timeouts.Idle, timeouts.Write = time.Hour, time.Hour, time.Hour
	return Config{MaxConnections: 1 << 15, Timeouts: timeouts}
}

// serve starts a server that the test stops.
func serve(t *testing.T, e *echo) (*Server, string) {
	t.Helper()
	return serveWith(t, e, defaults())
}

func serveWith(t *testing.T, e *echo, config Config) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Serve(l, config, Dependencies{Routes: e.route, Protocol: e, Logger: discard()}), l.Addr().String()
}

// stop stops the server, in time.
func (s *Server) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// client writes and parses HTTP itself.
type client struct {
	*testing.T
	conn   net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.Fatal(err)
	}
}

// want reads a response.
func (c *client) want(status int, body string) *http.Response {
	c.Helper()
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.Fatalf("no response: %v", err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || body != "" && body != string(text) {
		c.Errorf("%d %.20q (%d bytes) %v, want %d %.20q (%d bytes)", response.StatusCode, text, len(text), err, status, body, len(body))
	}
	return response
}

// wantEcho sends a body and wants it back.
func (c *client) wantEcho(body string) *http.Response {
	c.Helper()
	c.send(post(body))
	return c.want(http.StatusOK, body)
}

// ends wants the connection to end without another byte.
func (c *client) ends() error {
	if n, err := io.Copy(io.Discard, c.reader); n > 0 || err != nil {
		c.Errorf("%d bytes come, and then %v", n, err)
	}
	return io.EOF
}

// post makes a request; each header is a line without its end.
func post(body string, headers ...string) string {
	head := strings.Join(append([]string{"POST / HTTP/1.1", "Host: t", fmt.Sprintf("Content-Length: %d", len(body))}, headers...), "\r\n")
	return head + "\r\n\r\n" + body
}

// idleClients returns idle connections, at least one for each event loop.
func idleClients(t *testing.T, addr string) (idle []*client) {
	t.Helper()
	for range runtime.GOMAXPROCS(0) {
		c := dial(t, addr)
		c.wantEcho("idle")
		idle = append(idle, c)
	}
	return idle
}

// stuckOnce blocks the first who calls it until the gate is closed.
func stuckOnce() (stuck func(), entered, gate chan struct{}) {
	entered, gate = make(chan struct{}), make(chan struct{})
	var once sync.Once
	return func() {
		once.Do(func() {
			close(entered)
			<-gate
		})
	}, entered, gate
}
