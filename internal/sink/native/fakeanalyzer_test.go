package native

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// reply is the behaviour of a fakeAnalyzer for one request: it writes the parts one by one.
type reply struct {
	delay time.Duration
	parts []string
	// hang waits until the peer closes, cut closes the connection after the parts.
	hang, cut bool
}

func say(parts ...string) reply { return reply{parts: parts} }

// status returns a complete response; header consists of lines such as "Retry-After: 1\r\n".
func status(code int, header, body string) reply {
	return say(fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s", code, header, len(body), body))
}

var ok = status(200, "", "{}")

// receivedRequest is a request as a fakeAnalyzer received it.
type receivedRequest struct {
	contentType, key, trace, traces, body string
	connection                            int
}

// fakeAnalyzer is an analyzer with programmable replies, over in-memory pipes or TCP.
type fakeAnalyzer struct {
	mu                sync.Mutex
	health            func() reply
	ingest            func(receivedRequest) reply
	requests          []receivedRequest
	probes            int
	dials             int
	refuseConnections bool // connections
}

func newFakeAnalyzer(ingest func(receivedRequest) reply) *fakeAnalyzer {
	return &fakeAnalyzer{ingest: ingest, health: func() reply { return ok }}
}

// ndjsonHealth is a health response that advertises NDJSON.
func ndjsonHealth() reply {
	return status(200, "Accept-Post: application/json, application/x-ndjson\r\n", "")
}

func always(r reply) func(receivedRequest) reply { return func(receivedRequest) reply { return r } }

func (s *fakeAnalyzer) set(change func(*fakeAnalyzer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *fakeAnalyzer) received() []receivedRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]receivedRequest(nil), s.requests...)
}

func (s *fakeAnalyzer) dialCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

func (s *fakeAnalyzer) probeCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

func (s *fakeAnalyzer) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuseConnections {
		return nil, errors.New("refused")
	}
	s.dials++
	number := s.dials
	near, far := net.Pipe()
	go s.serve(far, number)
	return socket{near}, nil
}

// socket is a pipe that fails as a socket does after the peer closed it: only when read.
type socket struct{ net.Conn }

func (s socket) SetDeadline(at time.Time) error {
	_ = s.Conn.SetDeadline(at)
	return nil
}

// listen also serves TCP connections until the test ends, and returns the URL.
func (s *fakeAnalyzer) listen(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn, number) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return "http://" + listener.Addr().String()
}

func (s *fakeAnalyzer) serve(conn net.Conn, number int) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !s.write(conn, s.respond(r, string(body), number)) {
			return
		}
	}
}

func (s *fakeAnalyzer) respond(r *http.Request, body string, number int) reply {
	s.mu.Lock()
	if r.URL.Path == "/base/health" {
		s.probes++
		health := s.health
		s.mu.Unlock()
		return health()
	}
	one := receivedRequest{
		contentType: r.Header.Get("Content-Type"), key: r.Header.Get("Idempotency-Key"),
		trace: r.Header.Get("Traceparent"), traces: r.Header.Get("Traceparents"), body: body, connection: number,
	}
	s.requests = append(s.requests, one)
	ingest := s.ingest
	s.mu.Unlock()
	return ingest(one)
}

func (s *fakeAnalyzer) write(conn net.Conn, r reply) bool {
	if r.delay > 0 {
		time.Sleep(r.delay) // synthetic time
	}
	if r.hang {
		_, _ = io.Copy(io.Discard, conn)
		return false
	}
	for _, part := range r.parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return false
		}
	}
	return !r.cut
}
