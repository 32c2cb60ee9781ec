package distributor

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

type httpInputCase struct {
	input, request, body string
	status               int
}

var httpInputCases = []httpInputCase{
	{InputHTTP, "POST /loki/api/v1/push", `{"streams":[{"stream":{},"values":[["%d","m"]]}]}`, 204},
	{"loki", "POST /loki/api/v1/push", `{"streams":[{"stream":{},"values":[["%d","m"]]}]}`, 204},
	{InputHTTP, "POST /i/_bulk", "{\"index\":{}}\n{\"n\":%d}\n", 200},
	{InputHTTP, "POST /elasticsearch/i/_doc", `{"n":%d}`, 201},
	{"elasticsearch", "POST /i/_doc", `{"n":%d}`, 201},
	{InputHTTP, "POST /services/collector", `{"event":%d}`, 200},
	{"hec", "POST /services/collector", `{"event":%d}`, 200},
	{InputHTTP, "POST /gelf", `{"n":%d}`, 202},
	{InputHTTP, "POST /api/v2/logs", `{"n":%d}`, 202},
	{InputHTTP, "HEAD /", "", 200},
	{"elasticsearch", "GET /index", "", 200},
	{InputHTTP, "GET /ready", "", 200},
	{InputHTTP, "GET /index", "", 404},
	{InputHTTP, "GET /favicon.ico", "", 404},
	{InputHTTP, "POST /elsewhere", "{}", 404},
	{"loki", "POST /i/_bulk", "{}", 404},
	{"hec", "POST /ingest", "{}", 404},
}

// The ingest port serves the paths of each protocol over HTTP, and the listener of a protocol
// serves the paths of that protocol. Unknown paths are answered with problem documents.
func TestHTTPInputs(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "a", URL: a.URL(), Weight: 1})
	config.Inputs = Inputs{{Name: InputHTTP}}
	for _, name := range []string{"loki", "elasticsearch", "hec"} {
		config.Inputs = append(config.Inputs, Input{name, "127.0.0.1:0"})
	}
	s := startSystem(t, config)
	messages := 0
	for n, c := range httpInputCases {
		if strings.Contains(c.body, "%d") {
			c.body = fmt.Sprintf(c.body, n+1)
			messages++
		}
		s.checkHTTPInput(t, c)
	}
	if accepted := s.Status().Accepted.Messages; accepted != int64(messages) {
		t.Errorf("%d messages are accepted, want %d", accepted, messages)
	}
}

func (s *system) checkHTTPInput(t *testing.T, c httpInputCase) {
	t.Helper()
	address := s.Addr()
	if c.input != InputHTTP {
		address = s.InputAddr(c.input).String()
	}
	method, path, _ := strings.Cut(c.request, " ")
	request, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != c.status {
		t.Errorf("%s at %s: %d %s", c.request, c.input, response.StatusCode, text)
	}
	if c.status == http.StatusNotFound && response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s at %s: %s", c.request, c.input, text)
	}
}
