package distributor

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// Each protocol over HTTP is on the ingest port by its paths, and on a listener of its own if
// that is configured. The paths of nobody remain problem documents.
func TestHTTPInputs(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "a", URL: a.URL(), Weight: 1})
	config.Inputs = Inputs{{Name: InputHTTP}}
	for _, name := range []string{"loki", "elasticsearch", "hec"} {
		config.Inputs = append(config.Inputs, Input{name, "127.0.0.1:0"})
	}
	s := startSystem(t, config)
	address := func(input string) string {
		if input == InputHTTP {
			return s.Addr()
		}
		return s.InputAddr(input).String()
	}
	messages := 0
	for n, c := range []struct {
		input, request, body string
		status               int
	}{
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
	} {
		method, path, _ := strings.Cut(c.request, " ")
		body := c.body
		if strings.Contains(body, "%d") {
			body = fmt.Sprintf(body, n+1)
			messages++
		}
		request, err := http.NewRequest(method, "http://"+address(c.input)+path, strings.NewReader(body))
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
	if accepted := s.Status().Accepted.Messages; accepted != int64(messages) {
		t.Errorf("%d messages are accepted, want %d", accepted, messages)
	}
}
