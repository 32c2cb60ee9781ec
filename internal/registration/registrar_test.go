package registration

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const secret = "a-token-that-nobody-may-see"

// fakeAPI is an admin API that grants every lease for the shortest time.
type fakeAPI struct {
	*httptest.Server
	requests chan string // method, path, query and body

	mu     sync.Mutex // guards status
	status int        // of the next responses; 0 is what the API would answer
}

func newFakeAPI(t *testing.T, start func(http.Handler) *httptest.Server) *fakeAPI {
	f := &fakeAPI{requests: make(chan string, 1000)}
	f.Server = start(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) answer(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = status
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	text, _ := json.Marshal(body)
	f.mu.Lock()
	status := f.status
	f.mu.Unlock()
	f.requests <- fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), text)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case status != 0:
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"code":"conflict","detail":"no"}`))
	case r.Method == http.MethodDelete:
		_, _ = w.Write([]byte(`{"operation":"drain-1","drain":{"running":false,"proof":{"result":"drained","delivered":7}}}`))
	default:
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"ttl":"1ms"}`))
	}
}

// run runs a Registrar until stop, which returns its log.
func run(t *testing.T, c Config) (stop func() string) {
	t.Helper()
	var log bytes.Buffer
	r, err := New(c, netip.MustParseAddrPort("[::]:9001"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(done)
	}()
	return func() string {
		cancel()
		<-done
		return log.String()
	}
}

// An analyzer registers at all distributors, renews that, and leaves all with a drain. The token
// is in no log.
func TestRegistrar(t *testing.T) {
	a, b := newFakeAPI(t, httptest.NewServer), newFakeAPI(t, httptest.NewServer)
	c := DefaultConfig()
	c.Distributors, c.Weight, c.Group, c.ID, c.Token = URLs{a.URL, strings.TrimPrefix(b.URL, "http://")}, 0.2, "fleet", "m1", secret
	stop := run(t, c)
	const put = `PUT /v1/leases/m1 Bearer ` + secret + ` application/json {"group":"fleet","url":"http://127.0.0.1:9001","weight":0.2}`
	for range 3 {
		for _, one := range []*fakeAPI{a, b} {
			if got := <-one.requests; got != put {
				t.Error(got)
			}
		}
	}
	log := stop()
	for _, one := range []*fakeAPI{a, b} {
		last := ""
		for len(one.requests) > 0 {
			last = <-one.requests
		}
		if !strings.HasPrefix(last, "DELETE /v1/leases/m1?deadline=6s&reason=the+analyzer+stops&wait=9s Bearer "+secret+" application/json") {
			t.Errorf("the last request is %s", last)
		}
	}
	if strings.Count(log, "has left") != 2 || !strings.Contains(log, "result=drained delivered=7") || strings.Contains(log, secret) {
		t.Error(log)
	}
}

// Refusals and distributors that are away are logged once, and a distributor that never granted a
// lease is not waited for.
func TestRegistrarThatIsRefused(t *testing.T) {
	a := newFakeAPI(t, httptest.NewServer)
	a.answer(http.StatusConflict)
	c := DefaultConfig()
	c.Distributors = URLs{a.URL, "http://127.0.0.1:1"}
	stop := run(t, c)
	<-a.requests
	<-a.requests
	a.answer(0)
	<-a.requests
	next := <-a.requests // the one after the success was answered
	log := stop()
	if strings.Count(log, "cannot register") != 2 || strings.Count(log, "is registered") == 0 || !strings.Contains(log, "no (conflict)") {
		t.Error(log)
	}
	host, _ := os.Hostname()
	if !strings.HasSuffix(strings.Fields(next)[1], "-9001") || !strings.Contains(next, strings.Split(host, ".")[0]) {
		t.Errorf("the default id is in %s", next)
	}
}

// The certificate of an https API is verified with the CA that is given.
func TestRegistrarWithTLS(t *testing.T) {
	a := newFakeAPI(t, httptest.NewTLSServer)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Distributors, c.CA, c.TokenFile, c.Advertise = URLs{a.URL}, ca, token, "http://analyzer-1:9009"
	stop := run(t, c)
	if got := <-a.requests; !strings.Contains(got, secret) || !strings.Contains(got, "http://analyzer-1:9009") {
		t.Error(got)
	}
	stop()
}

func TestAdvertised(t *testing.T) {
	for server, want := range map[string]string{
		"http://127.0.0.1:8081": "127.0.0.1", "127.0.0.1:8081": "127.0.0.1", "https://127.0.0.1": "127.0.0.1", "http://[::1]:8081": "::1", "unix:/run/admin": "127.0.0.1",
	} {
		got, err := localAddress(t.Context(), server)
		if err == nil && got.Unmap().String() != want {
			t.Errorf("%s: %v, want %s", server, got, want)
		}
		if err != nil && want != "::1" { // no IPv6
			t.Error(err)
		}
	}
	c := DefaultConfig()
	c.Distributors = URLs{"http://127.0.0.1:8081"}
	for address, want := range map[string]string{"192.0.2.1:9001": "http://192.0.2.1:9001", "[2001:db8::1]:9001": "http://[2001:db8::1]:9001", "0.0.0.0:9002": "http://127.0.0.1:9002"} {
		r, err := New(c, netip.MustParseAddrPort(address), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		m := &membership{Registrar: r, client: r.clients[0]}
		if got, err := m.advertised(t.Context()); got != want || err != nil {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"REGISTER: ADMIN_URL is": func(c *Config) { c.Distributors = URLs{"ftp://x"} },
		"REGISTER_ID is":         func(c *Config) { c.ID = "a b" },
		"REGISTER_GROUP is":      func(c *Config) { c.Group = "A" },
		"REGISTER_ADVERTISE":     func(c *Config) { c.Advertise = "http://u:" + secret + "@h:1" },
		"ADMIN_CA is":            func(c *Config) { c.CA = "ca.pem" },
	} {
		c := DefaultConfig()
		c.Distributors = URLs{"http://127.0.0.1:8081"}
		if change(&c); c.Validate() == nil || !strings.Contains(c.Validate().Error(), want) || strings.Contains(c.Validate().Error(), secret) {
			t.Errorf("%v, want %s", c.Validate(), want)
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
	var urls URLs
	if err := urls.UnmarshalText([]byte(" http://a:1 ,http://b:2,")); err != nil || urls.String() != "http://a:1,http://b:2" {
		t.Errorf("%q, %v", urls, err)
	}
}
