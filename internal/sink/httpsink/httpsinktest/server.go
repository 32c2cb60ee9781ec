// Package httpsinktest has a scripted backend for tests of backends of package httpsink.
package httpsinktest

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/sinktest"
)

// Request is a request as the Server received it, with the body decompressed.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                string
}

// Response is what a Server does with a request.
type Response struct {
	Status int    // 0 is 200
	Header string // lines such as "Retry-After: 1\r\n"
	Body   string
	// Hang waits until the client closes; Close closes without a response.
	Hang, Close bool
}

// Server is a scripted backend over in-memory pipes. It may be used concurrently.
type Server struct {
	mu       sync.Mutex // guards all fields
	answer   func(Request) Response
	requests []Request
	probes   []Request
	probe    Response
	refuse   bool
}

// NewServer returns a Server that answers the requests of Send.
func NewServer(answer func(Request) Response) *Server { return &Server{answer: answer} }

// Set changes the responses.
func (s *Server) Set(answer func(Request) Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// SetProbe changes the response to probes.
func (s *Server) SetProbe(a Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probe = a
}

// Probes returns the probes so far: requests other than POST, or without a body.
func (s *Server) Probes() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.probes...)
}

// Refuse makes the Server refuse connections.
func (s *Server) Refuse(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// Requests returns the requests so far that are no probes.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Dial opens a connection to the Server.
func (s *Server) Dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		return nil, errors.New("refused")
	}
	near, far := net.Pipe()
	go s.serve(far)
	return near, nil
}

func (s *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		one, err := read(r)
		if err != nil {
			return
		}
		response := s.responseTo(one)
		switch {
		case response.Close:
			return
		case response.Hang:
			_, _ = io.Copy(io.Discard, reader)
			return
		}
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s", cmp.Or(response.Status, 200), response.Header, len(response.Body), response.Body); err != nil {
			return
		}
	}
}

func read(r *http.Request) (Request, error) {
	var source io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(source)
		if err != nil {
			return Request{}, err
		}
		source = unpacked
	}
	text, err := io.ReadAll(source)
	return Request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header, string(text)}, err
}

func (s *Server) responseTo(one Request) Response {
	s.mu.Lock()
	if one.Method != http.MethodPost || one.Body == "" {
		defer s.mu.Unlock()
		s.probes = append(s.probes, one)
		return s.probe
	}
	s.requests = append(s.requests, one)
	answer := s.answer
	s.mu.Unlock()
	return answer(one)
}

// Open returns the sink of the server at a URL such as es+http://one:9200?index=x.
func Open(t testing.TB, server *Server, url string, read func(*httpsink.Options) httpsink.Backend) *httpsink.Sink {
	t.Helper()
	endpoint, err := sink.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := httpsink.Parse(endpoint, read)
	if err != nil {
		t.Fatal(err)
	}
	return httpsink.New(endpoint.Base, backend, httpsink.Dependencies{Dial: server.Dial, Logger: slog.New(slog.DiscardHandler)})
}

// Timeout is that of Send.
const Timeout = time.Minute

// Send sends packets over a new connection.
func Send(t testing.TB, s sink.Sink, packets ...*packet.Packet) sink.Result {
	t.Helper()
	conn := s.NewConn()
	defer conn.Close()
	return conn.Send(t.Context(), packets, time.Now().Add(Timeout))
}

// Packet returns a checked packet.
func Packet(t testing.TB, body string) *packet.Packet {
	t.Helper()
	info, err := packet.Check([]byte(body), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	p := new(packet.Pool).New([]byte(body), info)
	p.Accepted = time.Now()
	return p
}

// Conform runs sinktest. accept answers a request that stores all its packets, reject one
// that stores none, and ids returns the packet_ids of a request's messages, in order.
func Conform(t *testing.T, url string, read func(*httpsink.Options) httpsink.Backend, accept func(Request) Response, ids func(Request) []string) {
	sinktest.Run(t, func(t *testing.T) sinktest.Backend {
		server := NewServer(accept)
		return sinktest.Backend{
			Sink: Open(t, server, url, read),
			Set: func(b sinktest.Behaviour) {
				server.Refuse(b == sinktest.Vanish)
				server.Set(map[sinktest.Behaviour]func(Request) Response{
					sinktest.Accept: accept,
					sinktest.Reject: func(Request) Response { return Response{Status: 400} },
					sinktest.Hang:   func(Request) Response { return Response{Hang: true} },
					sinktest.Vanish: accept,
				}[b])
			},
			Received: func() (bodies []string) {
				for _, r := range server.Requests() {
					for _, id := range ids(r) {
						bodies = append(bodies, strings.Replace(sinktest.Body(0), `"0"`, `"`+id+`"`, 1))
					}
				}
				return bodies
			},
		}
	})
}

// Always answers all requests in the same way.
func Always(a Response) func(Request) Response { return func(Request) Response { return a } }
