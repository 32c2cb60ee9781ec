package analyzer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	testBodyBytes = 64 << 10
	testMessages  = 100
)

// newAnalyzer creates an analyzer on loopback with small limits.
func newAnalyzer(tb testing.TB, change func(*Config)) *Analyzer {
	tb.Helper()
	config := DefaultConfig()
	config.Address = "127.0.0.1:0"
	config.MaxBodyBytes = testBodyBytes
	config.MaxPacketMessages = testMessages
	if change != nil {
		change(&config)
	}
	a, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// started returns an analyzer that serves until the test ends.
func started(t *testing.T, change func(*Config)) *Analyzer {
	t.Helper()
	a := newAnalyzer(t, change)
	a.Start()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := a.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return a
}

// packetJSON returns a packet with messages of alternating levels.
func packetJSON(id string, messages int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"emitter_id":"emitter-1","packet_id":"%s","messages":[`, id)
	for i := range messages {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"timestamp":1640995200000,"level":"%s","message":"user %d logged in","metadata":{"host":"node-%d","service":"service-%d"}}`,
			[]string{"INFO", "ERROR"}[i%2], i, i, i%3)
	}
	b.WriteString("]}")
	return b.String()
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func (a response) json(t *testing.T) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(a.body, &document); err != nil {
		t.Fatalf("the response %q is not JSON: %v", a.body, err)
	}
	return document
}

// send makes one request; header has pairs of names and values.
func send(t *testing.T, a *Analyzer, method, path string, body io.Reader, header ...string) response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, content}
}

func post(t *testing.T, a *Analyzer, body string, header ...string) response {
	t.Helper()
	return send(t, a, "POST", "/ingest", strings.NewReader(body), header...)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return string(encoder.EncodeAll([]byte(text), nil))
}

func TestValidateNamesTheKey(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for key, change := range map[string]func(*Config){
		"ANALYZER_ID": func(c *Config) { c.ID = "" },
		"address":     func(c *Config) { c.Address = "nowhere" },
	} {
		config := DefaultConfig()
		change(&config)
		if _, err := New(config, Dependencies{}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error is %v", key, err)
		}
	}
}

func TestNewNamesAddressInUse(t *testing.T) {
	first := started(t, nil)
	config := DefaultConfig()
	config.Address = first.Addr()
	if _, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("the error is %v", err)
	}
}
