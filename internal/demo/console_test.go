package demo

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// printed is an output that may be read while it is written.
type printed struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

// Write implements io.Writer.
func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// eventually calls a condition until it holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal(what)
		}
	}
}

// answer returns the body of a response of the console's server.
func exchange(t *testing.T, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s %v", method, url, response.StatusCode, text, err)
	}
	return string(text)
}

// For the console the demo continues until it is interrupted, beyond its duration. What the page
// stops and starts does not unbalance the ledger.
func TestConsole(t *testing.T) {
	config := DefaultConfig()
	config.Console, config.Duration = true, time.Millisecond
	ctx, interrupt := context.WithCancel(t.Context())
	var out printed
	done := make(chan error)
	go func() { done <- Run(ctx, config, Screen{Out: &out}, slog.New(slog.DiscardHandler)) }()
	address := regexp.MustCompile(`console (http://\S+)/`)
	eventually(t, "the console's address is not printed", func() bool { return address.MatchString(out.String()) })
	url := address.FindStringSubmatch(out.String())[1]
	if page := exchange(t, "GET", url+"/", ""); !strings.Contains(page, "data-demo") {
		t.Errorf("the page is not that of a demo: %s", page)
	}
	exchange(t, "POST", url+"/v1/demo/analyzer-1", `{"action":"stop"}`)
	healthy := regexp.MustCompile(`"healthy":(true|false)`)
	state := func(want string) func() bool {
		return func() bool {
			return healthy.FindStringSubmatch(exchange(t, "GET", url+"/v1/analyzers/analyzer-1", ""))[1] == want
		}
	}
	eventually(t, "the analyzer is not stopped", state("false"))
	exchange(t, "POST", url+"/v1/demo/analyzer-1", `{"action":"start"}`)
	eventually(t, "the analyzer does not return", state("true"))
	interrupt()
	if err := <-done; err != nil || !strings.Contains(out.String(), "It balances.") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestDemoAnalyzers(t *testing.T) {
	a, err := startAnalyzers(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.stop()
	if err := a.StartAnalyzer("analyzer-2"); err != nil {
		t.Errorf("one that runs cannot be started: %v", err)
	}
	for _, id := range []string{"analyzer-0", "analyzer-4", "", "x"} {
		if a.StopAnalyzer(id) == nil || a.StartAnalyzer(id) == nil {
			t.Errorf("%q is one of the demo's analyzers", id)
		}
	}
}
