// Package admintest has admin APIs for tests: one with scripted responses that checks requests and
// responses against the OpenAPI document (Server), and that of a distributor (System).
package admintest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server is an admin API. It may be used concurrently.
type Server struct {
	URL string

	t        testing.TB
	document *document
	stop     chan struct{}

	mu        sync.Mutex
	responses map[string][]response // guarded by mu
	requests  []Request             // guarded by mu
}

// Request is a request that the server got.
type Request struct {
	Line, Body, IfMatch, LastEventID, Authorization string
}

type response struct {
	status    int
	mediaType string
	body      string
	stream    bool
	hold      bool
	drop      bool
}

// New starts a server that stops at the end of the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, document: readDocument(t), stop: make(chan struct{}), responses: make(map[string][]response)}
	server := httptest.NewServer(s)
	s.URL = server.URL
	t.Cleanup(func() {
		close(s.stop)
		server.Close()
	})
	return s
}

// Answer sets the response to a request, such as "GET /v1/status". Several responses to the same
// request are given in order, the last one again and again.
func (s *Server) Answer(request string, status int, body string) {
	mediaType := "application/json"
	if status >= 400 {
		mediaType = "application/problem+json"
	}
	s.add(request, response{status: status, mediaType: mediaType, body: body})
}

// AnswerText is Answer for a response of another type.
func (s *Server) AnswerText(request, mediaType, body string) {
	s.add(request, response{status: http.StatusOK, mediaType: mediaType, body: body})
}

// Stream sets the response to a request for a stream: its events, as they are sent. If hold
// is true the connection then stays open until the end of the test.
func (s *Server) Stream(request string, hold bool, events string) {
	s.add(request, response{status: http.StatusOK, mediaType: "text/event-stream", body: events, stream: true, hold: hold})
}

// Drop sets that a request gets no response.
func (s *Server) Drop(request string) { s.add(request, response{drop: true}) }

// Refuse sets a refusal.
func (s *Server) Refuse(request string, status int, code, detail string) {
	problem, err := json.Marshal(map[string]any{
		"type": "urn:logstreamer:problem:" + code, "title": http.StatusText(status), "status": status, "detail": detail, "code": code,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Answer(request, status, string(problem))
}

func (s *Server) add(request string, a response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.responses[request] = append(s.responses[request], a)
}

// Requests returns the requests other than GET so far, or all.
func (s *Server) Requests(all bool) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var requests []Request
	for _, r := range s.requests {
		if all || !strings.HasPrefix(r.Line, http.MethodGet) {
			requests = append(requests, r)
		}
	}
	return requests
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	next, known := s.next(r, string(body))
	operation, ok := s.document.find(r.Method, r.URL.Path)
	if !ok || !known {
		s.t.Errorf("unexpected request %s %s", r.Method, r.RequestURI)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if next.drop {
		panic(http.ErrAbortHandler)
	}
	s.checkRequest(operation, r, body)
	if !next.stream {
		if err := s.document.checkResponse(operation, next.status, next.mediaType, []byte(next.body)); err != nil {
			s.t.Errorf("the test's response to %s %s: %v", r.Method, r.RequestURI, err)
		}
	} else {
		s.checkEvents(operation, next.body)
	}
	w.Header().Set("Content-Type", next.mediaType)
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, next.body)
	if next.hold {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-s.stop:
		case <-r.Context().Done():
		}
	}
}

func (s *Server) next(r *http.Request, body string) (next response, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Line: r.Method + " " + r.RequestURI, Body: body, IfMatch: r.Header.Get("If-Match"), LastEventID: r.Header.Get("Last-Event-ID"),
		Authorization: r.Header.Get("Authorization"),
	})
	name := r.Method + " " + r.URL.Path
	list := s.responses[name]
	if len(list) == 0 {
		return response{}, false
	}
	if len(list) > 1 {
		s.responses[name] = list[1:]
	}
	return list[0], true
}

func (s *Server) checkRequest(o operation, r *http.Request, body []byte) {
	known := s.document.parameters(o)
	for name := range r.URL.Query() {
		if !known[name] {
			s.t.Errorf("%s %s: an unknown parameter %s", r.Method, r.RequestURI, name)
		}
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodGet && mediaType != "application/json" && mediaType != "application/merge-patch+json" {
		s.t.Errorf("%s %s: Content-Type %q", r.Method, r.RequestURI, mediaType)
	}
	if err := s.document.checkBody(o, mediaType, body); err != nil {
		s.t.Errorf("%s %s: %s: %v", r.Method, r.RequestURI, body, err)
	}
}

func (s *Server) checkEvents(o operation, events string) {
	for event := range strings.SplitSeq(events, "\n\n") {
		kind, data := "", ""
		for line := range strings.Lines(event) {
			field, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
			switch field {
			case "event":
				kind = value
			case "data":
				data = value
			}
		}
		if data == "" {
			continue
		}
		if err := s.document.checkEvent(o, kind, []byte(data)); err != nil {
			s.t.Errorf("the test's event %s: %v", event, err)
		}
	}
}
