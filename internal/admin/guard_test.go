package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// guarded is a guard in front of routes that do nothing.
type guarded struct {
	*testing.T
	*api
	dir      string
	registry *prometheus.Registry
	log      bytes.Buffer
	served   []string // methods and paths
}

const operateToken, readToken = "operate-token-of-a-test", "read-token"

func newGuarded(t *testing.T, config control.AdminConfig) *guarded {
	t.Helper()
	g := &guarded{T: t, dir: t.TempDir(), registry: prometheus.NewRegistry()}
	logger := slog.New(slog.NewTextHandler(&g.log, nil))
	m, err := newMetrics(g.registry)
	if err != nil {
		t.Fatal(err)
	}
	g.api = newAPI(Dependencies{Access: newAccess(t, config, nil), DataDir: g.dir, Logger: logger}, m)
	g.local, g.stopping = true, t.Context()
	serve := func(_ *api, r *request) (*response, error) {
		g.served = append(g.served, r.Method+" "+r.URL.Path)
		var body options
		if err := r.decode(&body); err != nil {
			return nil, err
		}
		if r.record != nil {
			if _, err := r.change(body); err != nil {
				return nil, err
			}
		}
		return &response{body: map[string]string{"caller": r.caller.Name}}, nil
	}
	g.routes = routes{
		{"GET", "/v1/thing", read, "wait", false, serve},
		{"PATCH", "/v1/thing", operate, "dry_run", false, serve},
		{"GET", "/v1/secret", operate, "", false, serve},
		{"GET", "/-/ready", public, "", false, func(*api, *request) (*response, error) { return &response{body: 1}, nil }},
		{"POST", "/v1/session", public, "", false, (*api).login},
		{"DELETE", "/v1/session", public, "", false, (*api).logout},
		{"POST", "/v1/panic", operate, "", false, func(*api, *request) (*response, error) { panic("a defect") }},
	}
	t.Cleanup(g.audit.close)
	return g
}

func newStore(t *testing.T) (*filewatch.Watcher, *certificate.Store) {
	t.Helper()
	watcher, err := filewatch.New(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := certificate.NewStore(watcher, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return watcher, store
}

func newAccess(t *testing.T, config control.AdminConfig, secure *certificate.Listener) *Access {
	t.Helper()
	watcher, _ := newStore(t)
	access, err := NewAccess(config, watcher, secure)
	if err != nil {
		t.Fatal(err)
	}
	return access
}

// withTokens is a configuration with a token of each role.
func withTokens(t *testing.T) control.AdminConfig {
	t.Helper()
	sum := sha256.Sum256([]byte(readToken))
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("viewer read sha256:"+hex.EncodeToString(sum[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return control.AdminConfig{Token: operateToken, TokensFile: path}
}

// asks is a request; its header overwrites that of an ordinary one.
type asks struct {
	method, path, body string
	header             map[string]string
	remote             string
}

func (g *guarded) do(a asks) *httptest.ResponseRecorder {
	g.Helper()
	r := httptest.NewRequest(a.method, a.path, strings.NewReader(a.body))
	r.Host = "localhost:8081"
	r.RemoteAddr = "127.0.0.1:5"
	if a.remote != "" {
		r.RemoteAddr = a.remote
	}
	if a.method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for key, value := range a.header {
		if key == "Host" {
			r.Host = value
		} else {
			r.Header.Set(key, value)
		}
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

// want checks the status and the code of a response.
func (g *guarded) want(a asks, status int, reason code) *httptest.ResponseRecorder {
	g.Helper()
	w := g.do(a)
	var problem struct{ Code code }
	_ = json.Unmarshal(w.Body.Bytes(), &problem) // a body of another type has no code
	if w.Code != status || problem.Code != reason {
		g.Fatalf("%+v: %d %s, want %d %q", a, w.Code, w.Body, status, reason)
	}
	return w
}

func (g *guarded) records() []record {
	g.Helper()
	return readRecords(g.T, g.dir)
}

func readRecords(t testing.TB, dir string) (all []record) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "audit.ndjson"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func and(a, b map[string]string) map[string]string {
	all := make(map[string]string)
	for _, m := range []map[string]string{a, b} {
		for key, value := range m {
			all[key] = value
		}
	}
	return all
}

// A caller who may not change anything is refused, recorded and counted.
func TestDenied(t *testing.T) {
	open, closed := control.AdminConfig{}, withTokens(t)
	for name, c := range map[string]struct {
		config control.AdminConfig
		asks   asks
		status int
		code   code
	}{
		"a page of another site": {open, asks{header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 403, crossOrigin},
		"a page of another port": {open, asks{header: map[string]string{"Sec-Fetch-Site": "same-site"}}, 403, crossOrigin},
		"an old browser":         {open, asks{header: map[string]string{"Origin": "http://evil.example"}}, 403, crossOrigin},
		"an opaque origin":       {open, asks{header: map[string]string{"Origin": "null"}}, 403, crossOrigin},
		"a rebound name":         {open, asks{header: map[string]string{"Host": "evil.example:8081", "Origin": "http://evil.example:8081"}}, 403, hostNotAllowed},
		"no host":                {open, asks{header: map[string]string{"Host": ""}}, 403, hostNotAllowed},
		"a form":                 {open, asks{header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, unsupportedMediaType},
		"a form with text":       {open, asks{header: map[string]string{"Content-Type": "text/plain"}}, 415, unsupportedMediaType},
		"no content type":        {open, asks{header: map[string]string{"Content-Type": ""}}, 415, unsupportedMediaType},
		"no token":               {closed, asks{}, 401, unauthorized},
		"a wrong token":          {closed, asks{header: bearer("guess")}, 401, unauthorized},
		"an empty token":         {closed, asks{header: bearer("")}, 401, unauthorized},
		"another scheme":         {closed, asks{header: map[string]string{"Authorization": "Basic " + operateToken}}, 401, unauthorized},
		"a wrong session":        {closed, asks{header: map[string]string{"Cookie": sessionCookie + "=guess"}}, 401, unauthorized},
		"the role read":          {closed, asks{header: bearer(readToken)}, 403, forbidden},
		"a wrong token, rebound": {closed, asks{header: and(bearer("guess"), map[string]string{"Host": "evil.example"})}, 403, hostNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t, c.config)
			c.asks.method, c.asks.path = "PATCH", "/v1/thing?dry_run=true"
			g.want(c.asks, c.status, c.code)
			if len(g.served) > 0 {
				t.Error("the request was served")
			}
			records := g.records()
			if len(records) != 1 || records[0].Status != c.status || records[0].Code != string(c.code) || records[0].Method != "PATCH" ||
				records[0].Path != "/v1/thing" || records[0].Address != "127.0.0.1" || records[0].Time.IsZero() {
				t.Errorf("the audit log has %+v", records)
			}
			if counted := testutil.ToFloat64(g.metrics.denied[c.code]); counted != 1 {
				t.Errorf("counted %v times", counted)
			}
		})
	}
}

// A page of another site can neither read nor exhaust the streams.
func TestCrossOriginReadsAreDenied(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{})
	for _, c := range []struct {
		header map[string]string
		status int
		code   code
	}{
		{nil, 200, ""},
		{map[string]string{"Sec-Fetch-Site": "same-origin"}, 200, ""},
		{map[string]string{"Sec-Fetch-Site": "none"}, 200, ""},
		{map[string]string{"Origin": "http://localhost:8081"}, 200, ""},
		{map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, crossOrigin},
		{map[string]string{"Origin": "http://localhost:3000"}, 403, crossOrigin},
	} {
		w := g.want(asks{method: "GET", path: "/v1/thing", header: c.header}, c.status, c.code)
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%v is answered with %s", c.header, name)
			}
		}
	}
	if records := g.records(); len(records) != 2 || records[0].Code != "cross_origin" || records[1].Method != "GET" {
		t.Errorf("not only what was denied is recorded: %+v", records)
	}
}

// The test checks each kind of credential and its rights.
func TestAdmitted(t *testing.T) {
	g := newGuarded(t, withTokens(t))
	for _, c := range []struct {
		asks   asks
		status int
		code   code
	}{
		{asks{method: "GET", path: "/v1/thing", header: bearer(readToken)}, 200, ""},
		{asks{method: "HEAD", path: "/v1/thing", header: bearer(readToken)}, 200, ""},
		{asks{method: "GET", path: "/v1/secret", header: bearer(readToken)}, 403, forbidden},
		{asks{method: "GET", path: "/v1/secret", header: bearer(operateToken)}, 200, ""},
		{asks{method: "PATCH", path: "/v1/thing", header: bearer(operateToken)}, 200, ""},
		{asks{method: "PATCH", path: "/v1/thing", body: "{}", header: and(bearer(operateToken), map[string]string{"Content-Type": "application/merge-patch+json; charset=utf-8"})}, 200, ""},
		{asks{method: "PATCH", path: "/v1/thing", header: and(bearer(operateToken), map[string]string{"Host": "logs.example.com"})}, 200, ""},
		{asks{method: "GET", path: "/v1/thing"}, 401, unauthorized},
		{asks{method: "GET", path: "/v1/none"}, 401, unauthorized},
		{asks{method: "GET", path: "/v1/none", header: bearer(readToken)}, 404, notFound},
		{asks{method: "POST", path: "/v1/none", header: bearer(readToken)}, 403, forbidden},
		{asks{method: "GET", path: "/-/ready"}, 200, ""},
	} {
		w := g.want(c.asks, c.status, c.code)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": contentSecurityPolicy} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%+v: %s is %q, want %q", c.asks, name, got, want)
			}
		}
		if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
}

// A GET changes nothing: no route that changes something has the method GET.
func TestMethods(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "BREW"} {
		if allow := g.want(asks{method: method, path: "/v1/thing"}, 405, methodNotAllowed).Header().Get("Allow"); allow != "GET, HEAD, PATCH" {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
	before := len(g.records())
	g.want(asks{method: "GET", path: "/v1/panic"}, 405, methodNotAllowed)
	if records := g.records(); len(records) != before+1 || records[before].Code != "method_not_allowed" {
		t.Errorf("a GET of a change is not recorded: %+v", records)
	}
	if len(g.served) > 0 {
		t.Error("served:", g.served)
	}
	for _, one := range allRoutes() {
		if one.method == "GET" && (one.query == "dry_run" || strings.HasSuffix(one.path, "reload") || strings.HasSuffix(one.path, "upgrade")) {
			t.Errorf("%s %s", one.method, one.path)
		}
		if one.method != "GET" && one.rights != operate && one.path != "/v1/session" && one.path != "/v1/leases/{id}" {
			t.Errorf("%s %s does not need the role operate", one.method, one.path)
		}
	}
}

func TestHosts(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{Hosts: control.Hosts{"logs.example.com"}})
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:8081": 200, "localhost.": 200, "a.localhost": 200, "127.0.0.1:8081": 200, "10.1.2.3": 200, "[::1]:8081": 200, "[::1]": 200,
		"logs.example.com": 200, "LOGS.example.com.:8081": 200,
		"example.com": 403, "xlogs.example.com": 403, "logs.example.com.evil": 403, "localhost.evil": 403, "evillocalhost": 403, "127.0.0.1.evil": 403,
		"": 403, ".": 403, ":8081": 403, "[::1%25eth0]": 403, "logs.example.com:1:2": 403,
	} {
		if w := g.do(asks{method: "GET", path: "/v1/thing", header: map[string]string{"Host": host}}); w.Code != status {
			t.Errorf("%q: %d, want %d", host, w.Code, status)
		}
	}
}

// Wrong tokens are limited for each address; valid tokens are not.
func TestTooManyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, withTokens(t))
		guess := asks{method: "GET", path: "/v1/thing", header: bearer("guess")}
		for range 5 {
			g.want(guess, 401, unauthorized)
		}
		if after := g.want(guess, 429, tooManyFailures).Header().Get("Retry-After"); after != "12" {
			t.Errorf("Retry-After is %q", after)
		}
		login := asks{method: "POST", path: "/v1/session", body: `{"token":"guess"}`}
		g.want(login, 429, tooManyFailures)
		g.want(asks{method: "GET", path: "/v1/thing", header: bearer(readToken)}, 200, "")
		g.want(asks{method: "GET", path: "/v1/thing"}, 401, unauthorized) // without a credential
		guess.remote = "[2001:db8::1]:7"
		g.want(guess, 401, unauthorized)
		guess.remote = ""
		time.Sleep(12 * time.Second)
		g.want(guess, 401, unauthorized)
		g.want(guess, 429, tooManyFailures)
	})
}

// A certificate that expires after the handshake is no longer a credential.
func TestExpiredCertificate(t *testing.T) {
	now := time.Now()
	ca, err := certificatetest.NewAuthority("ca", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("viewer", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pair.Cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	config := control.AdminConfig{ClientCA: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(config.ClientCA, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if config.TLSCert, config.TLSKey, err = pair.Write(t.TempDir(), "server"); err != nil {
		t.Fatal(err)
	}
	_, store := newStore(t)
	secure, err := TLS(config, store)
	if err != nil {
		t.Fatal(err)
	}
	access := newAccess(t, config, secure)
	r := httptest.NewRequest("GET", "/v1/thing", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	if c, _ := access.authenticate(r, now); c == nil || c.Name != "viewer" {
		t.Errorf("valid: %+v", c)
	}
	if c, _ := access.authenticate(r, now.Add(2*time.Minute)); c != nil {
		t.Errorf("expired: %+v", c)
	}
}

func TestPanic(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{})
	g.want(asks{method: "POST", path: "/v1/panic"}, 500, internal)
	if testutil.ToFloat64(g.metrics.panics) != 1 || testutil.ToFloat64(g.metrics.requests[5]) != 1 || !strings.Contains(g.log.String(), "a defect") {
		t.Errorf("the panic is not counted and logged: %s", &g.log)
	}
	if all := g.records(); len(all) != 1 || all[0].Path != "/v1/panic" || all[0].Actor != "local" || all[0].Status != 500 {
		t.Errorf("%+v", all)
	}
}

// More specific paths come first, so that each route is found by its own path.
func TestEachRouteIsFound(t *testing.T) {
	all := allRoutes()
	for i, one := range all {
		found, _, _ := all.find(one.method, strings.NewReplacer("{", "", "...", "", "}", "").Replace(one.path))
		if found != &all[i] {
			t.Errorf("%s %s is not found: %+v", one.method, one.path, found)
		}
	}
	if slices.IndexFunc(all, func(r route) bool { return r.method == "HEAD" }) >= 0 {
		t.Error("HEAD is GET without the body")
	}
}
