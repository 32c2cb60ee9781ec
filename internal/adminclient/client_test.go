package adminclient

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve returns a client of a server.
func serve(t *testing.T, handler http.HandlerFunc, change ...func(*Config)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config := DefaultConfig()
	config.URL = server.URL
	for _, c := range change {
		c(&config)
	}
	return newClient(t, config)
}

func newClient(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"revision":7,"later":true}`)
	}, func(c *Config) { c.Token = "secret" })
	response, err := c.Do(t.Context(), Request{
		Method: http.MethodPatch, Path: Path("analyzers", "a/2 ?"), Query: url.Values{"dry_run": {"true"}},
		Body: map[string]any{"weight": 0.2}, IfMatch: 6,
	})
	if err != nil || response.Status != http.StatusAccepted {
		t.Fatal(response, err)
	}
	var result struct{ Revision int64 }
	if err := response.Decode(&result); err != nil || result.Revision != 7 {
		t.Error(result, err)
	}
	if got.RequestURI != "/v1/analyzers/a%2F2%20%3F?dry_run=true" || body != `{"weight":0.2}` {
		t.Error(got.RequestURI, body)
	}
	for key, want := range map[string]string{
		"Content-Type": "application/merge-patch+json", "Authorization": "Bearer secret", "If-Match": `"6"`, "Accept": "application/json",
	} {
		if got.Header.Get(key) != want {
			t.Errorf("%s: %q, want %q", key, got.Header.Get(key), want)
		}
	}
}

// A change without a body has a content type, too; a read has none, and neither has
// Authorization without a token.
func TestRequestWithoutBody(t *testing.T) {
	var headers []http.Header
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { headers = append(headers, r.Header) })
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		if _, err := c.Do(t.Context(), Request{Method: method, Path: "/v1/x"}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"", "application/json", "application/json"} {
		if got := headers[i].Get("Content-Type"); got != want || headers[i].Get("Authorization") != "" || headers[i].Get("If-Match") != "" {
			t.Errorf("%d: %v", i, headers[i])
		}
	}
}

func TestRefusals(t *testing.T) {
	status, body := 0, ""
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	for _, r := range []struct {
		status        int
		body, want    string
		denied, stale bool
	}{
		{422, `{"type":"about:blank","title":"t","status":422,"detail":"RATE_LIMIT is -1: it must be at least 0","code":"invalid_setting","key":"RATE_LIMIT","value":-1,"allowed":"at least 0"}`,
			"RATE_LIMIT is -1: it must be at least 0 (invalid_setting)", false, false},
		{412, `{"title":"stale","code":"stale_revision"}`, "stale (stale_revision)", false, true},
		{401, `{"code":"unauthorized"}`, "the server answered 401 Unauthorized (unauthorized); a token is given in the environment's ADMIN_TOKEN or by -token-file", true, false},
		{403, ``, "the server answered 403 Forbidden", true, false},
		{502, `<html>`, "the server answered 502 Bad Gateway", false, false},
		{302, ``, "the server answered 302 Found", false, false},
		{409, `{"code":5}`, "the server answered 409 Conflict", false, false},
	} {
		status, body = r.status, r.body
		_, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/v1/x"})
		var refused *Error
		if !errors.As(err, &refused) || err.Error() != r.want || refused.Unauthorized() != r.denied || refused.Stale() != r.stale || refused.Status != r.status {
			t.Errorf("%d %s: %v", r.status, r.body, err)
		}
	}
	status = http.StatusUnauthorized
	c.token.value = "wrong"
	if _, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/v1/x"}); strings.Contains(err.Error(), "ADMIN_TOKEN") {
		t.Errorf("with a token: %v", err)
	}
}

// The token goes to no other server.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}, func(c *Config) { c.Token = "secret" })
	var refused *Error
	if _, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/v1/x"}); !errors.As(err, &refused) || refused.Status != http.StatusTemporaryRedirect {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	_, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/v1/x"})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout after 50ms") {
		t.Error(err)
	}
	config := DefaultConfig()
	config.URL = "unix:" + filepath.Join(t.TempDir(), "none")
	_, err = newClient(t, config).Do(t.Context(), Request{Method: http.MethodGet, Path: "/v1/x"})
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "no answer from unix:") {
		t.Error(err)
	}
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "admin") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Skip("no Unix sockets:", err)
	}
	var host string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		_, _ = io.WriteString(w, `{}`)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	config := DefaultConfig()
	config.URL = "unix:" + listener.Addr().String()
	var into struct{}
	if err := newClient(t, config).Get(t.Context(), Path("status"), nil, &into); err != nil || host != "localhost" {
		t.Error(host, err)
	}
}

// A token that was rotated in its file is read again, once, after a 401.
func TestTokenRotation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	valid, requests := "Bearer old", 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.Header.Get("Authorization") != valid {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, func(c *Config) { c.TokenFile = file })
	get := func() error {
		_, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/v1/x"})
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	valid = "Bearer new"
	if requests = 0; get() == nil || requests != 1 {
		t.Errorf("%d requests with a token that did not change", requests)
	}
	write("new\n")
	if requests = 0; get() != nil || requests != 2 {
		t.Errorf("%d requests", requests)
	}
	if requests = 0; get() != nil || requests != 1 {
		t.Errorf("%d requests", requests)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not know the issuer
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.URL, config.CA = server.URL, ca
	var into struct{}
	if err := newClient(t, config).Get(t.Context(), "/v1/x", nil, &into); err != nil {
		t.Error(err)
	}
	config.CA = ""
	var unreachable *UnreachableError
	if err := newClient(t, config).Get(t.Context(), "/v1/x", nil, &into); !errors.As(err, &unreachable) {
		t.Error("an unknown issuer:", err)
	}
}

func TestInvalidConfig(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		`ADMIN_URL is "ftp://h"`:                 func(c *Config) { c.URL = "ftp://h" },
		`ADMIN_URL is "nowhere"`:                 func(c *Config) { c.URL = "nowhere" },
		`ADMIN_URL is ""`:                        func(c *Config) { c.URL = "" },
		`ADMIN_URL is "unix:relative"`:           func(c *Config) { c.URL = "unix:relative" },
		`ADMIN_URL is "http://h/v1"`:             func(c *Config) { c.URL = "http://h/v1" },
		`ADMIN_URL is "…@h"`:                     func(c *Config) { c.URL = "http://u:password@h" },
		`ADMIN_CLIENT_CERT and ADMIN_CLIENT_KEY`: func(c *Config) { c.Cert = "x" },
		`need https`:                             func(c *Config) { c.CA = "x" },
		`missing`:                                func(c *Config) { c.TokenFile = filepath.Join(filepath.Dir(empty), "missing") },
		`is empty`:                               func(c *Config) { c.TokenFile = empty },
		`ADMIN_TOKEN must have one line`:         func(c *Config) { c.Token = "a\r\nb" },
		`has no certificate in PEM`:              func(c *Config) { c.URL, c.CA = "https://h", empty },
	} {
		config := DefaultConfig()
		change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, fine := range []string{"http://h:1", "https://h", "127.0.0.1:8081", "[::1]:8081", "http://h:1/"} {
		config := DefaultConfig()
		config.URL = fine
		if err := config.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// A response of something else than an admin API is an error.
func TestForeignResponse(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	var into struct{}
	var syntax *json.SyntaxError
	if err := c.Get(t.Context(), "/v1/x", nil, &into); !errors.As(err, &syntax) || !strings.Contains(err.Error(), "not that of an admin API") {
		t.Error(err)
	}
}
