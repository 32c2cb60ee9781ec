package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/retrybudget"
)

// reply is what a scripted analyzer does with one request: it writes the parts
// of its answer, one at a time.
type reply struct {
	delay time.Duration
	parts []string
	// hang waits until the other side goes away, cut closes the connection.
	hang, cut bool
}

func say(parts ...string) reply { return reply{parts: parts} }

// status is a whole answer; header has lines such as "Retry-After: 1\r\n".
func status(code int, header, body string) reply {
	return say(fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s", code, header, len(body), body))
}

var ok = status(200, "", "{}")

// seen is a request as a scripted analyzer got it.
type seen struct {
	contentType, key, trace, body string
	connection                    int
}

// scripted is an analyzer at the other end of pipes in memory.
type scripted struct {
	mu       sync.Mutex
	health   func() reply
	ingest   func(seen) reply
	requests []seen
	probes   int
	dials    int
	refuses  bool // connections
}

func newScripted(ingest func(seen) reply) *scripted {
	return &scripted{ingest: ingest, health: func() reply { return ok }}
}

// lines is a health answer that advertises NDJSON.
func lines() reply { return status(200, "Accept-Post: application/json, application/x-ndjson\r\n", "") }

func always(r reply) func(seen) reply { return func(seen) reply { return r } }

func (s *scripted) set(change func(*scripted)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *scripted) got() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.requests...)
}

func (s *scripted) dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

func (s *scripted) probed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

func (s *scripted) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses {
		return nil, errors.New("refused")
	}
	s.dials++
	number := s.dials
	near, far := net.Pipe()
	go s.serve(far, number)
	return socket{near}, nil
}

// socket is a pipe that fails as a socket does after the other side has closed it: not
// before it is read.
type socket struct{ net.Conn }

func (s socket) SetDeadline(at time.Time) error {
	_ = s.Conn.SetDeadline(at)
	return nil
}

// listen serves TCP connections too, until the test ends, and returns the URL.
func (s *scripted) listen(t *testing.T) string {
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

func (s *scripted) serve(conn net.Conn, number int) {
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
		if !s.play(conn, s.react(r, string(body), number)) {
			return
		}
	}
}

func (s *scripted) react(r *http.Request, body string, number int) reply {
	s.mu.Lock()
	if r.URL.Path == "/base/health" {
		s.probes++
		health := s.health
		s.mu.Unlock()
		return health()
	}
	one := seen{
		contentType: r.Header.Get("Content-Type"), key: r.Header.Get("Idempotency-Key"),
		trace: r.Header.Get("Traceparent"), body: body, connection: number,
	}
	s.requests = append(s.requests, one)
	ingest := s.ingest
	s.mu.Unlock()
	return ingest(one)
}

func (s *scripted) play(conn net.Conn, r reply) bool {
	if r.delay > 0 {
		time.Sleep(r.delay) // of the bubble's clock
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

// bench is one analyzer under test, with what it settles.
type bench struct {
	*Upstream
	settler *recorder
	packets *maker
}

func testConfig() Config {
	config := DefaultConfig()
	config.ID, config.URL, config.Weight = "one", "http://one:9001/base/", 0.5
	config.Concurrency = 1
	return config
}

// start starts an upstream of a scripted analyzer; it stops with the test.
func start(t *testing.T, config Config, dial func(context.Context, string, string) (net.Conn, error)) *bench {
	t.Helper()
	b := prepare(t, config, dial)
	b.Start(t.Context())
	return b
}

// prepare returns one that is not started yet.
func prepare(t *testing.T, config Config, dial func(context.Context, string, string) (net.Conn, error)) *bench {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{settler: newRecorder(), packets: &maker{}}
	b.Upstream, err = New(config, Dependencies{
		Budget:  new(retrybudget.Budget),
		Settler: b.settler, Logger: slog.New(slog.DiscardHandler), Metrics: metrics, Dial: dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// failures returns how many sends were counted to fail for a reason.
func (b *bench) failures(reason string) float64 {
	return testutil.ToFloat64(b.metrics.failures[reason])
}

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}
