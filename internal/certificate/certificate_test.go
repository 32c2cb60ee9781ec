package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/internal/filewatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a directory of certificates, and a store.
type fixture struct {
	*testing.T
	dir      string
	ca       *certificatetest.Authority
	watcher  *filewatch.Watcher
	store    *Store
	registry *prometheus.Registry
}

var soon = time.Now().Add(time.Hour).Truncate(time.Second)

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, dir: t.TempDir(), registry: prometheus.NewRegistry()}
	f.ca = f.authority("ca")
	var errs [2]error
	f.watcher, errs[0] = filewatch.New(slog.New(slog.DiscardHandler), f.registry)
	f.store, errs[1] = NewStore(f.watcher, f.registry)
	f.must(errors.Join(errs[:]...))
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) at(name string) string { return filepath.Join(f.dir, name) }

func (f *fixture) write(name string, content []byte) string {
	f.Helper()
	f.must(os.WriteFile(f.at(name), content, 0o600))
	return f.at(name)
}

// authority writes NAME.pem.
func (f *fixture) authority(name string) *certificatetest.Authority {
	f.Helper()
	a, err := certificatetest.NewAuthority(name, soon.Add(time.Hour))
	f.must(err)
	f.write(name+".pem", a.PEM)
	return a
}

// issue writes NAME.crt and NAME.key.
func (f *fixture) issue(name string, until time.Time) certificatetest.Pair {
	f.Helper()
	pair, err := f.ca.Issue(name, until)
	f.must(err)
	_, _, err = pair.Write(f.dir, name)
	f.must(err)
	return pair
}

func (f *fixture) serverConfig(name string) Config {
	return Config{Cert: f.at(name + ".crt"), Key: f.at(name + ".key")}
}

func (f *fixture) listener(c Config) *tls.Config {
	f.Helper()
	l, err := f.store.Listener(Ingest, "", c, tls.RequireAndVerifyClientCert)
	f.must(err)
	return l.TLS()
}

func (f *fixture) client(c ClientConfig) *Client {
	f.Helper()
	client, err := f.store.Client(Analyzer, "ANALYZER_", c)
	f.must(err)
	return client
}

// handshake returns the name of the server's certificate, and both errors.
func handshake(t *testing.T, server, client *tls.Config) (name string, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ended := make(chan error)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = tls.Server(conn, server).HandshakeContext(t.Context())
			_ = conn.Close()
		}
		ended <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(conn, client)
	if clientErr = secure.HandshakeContext(t.Context()); clientErr == nil {
		name = secure.ConnectionState().PeerCertificates[0].Subject.CommonName
		_, _ = secure.Read(make([]byte, 1)) // session tickets
	}
	_ = conn.Close()
	return name, <-ended, clientErr
}

func TestHandshake(t *testing.T) {
	f := newFixture(t)
	f.issue("server", soon)
	f.issue("client", soon)
	c := f.serverConfig("server")
	plain := f.listener(c)
	c.ClientCA = f.at("ca.pem")
	mutual := f.listener(c)
	trusting := f.client(ClientConfig{CA: f.at("ca.pem")})
	known := f.client(ClientConfig{CA: f.at("ca.pem"), Cert: f.at("client.crt"), Key: f.at("client.key")})
	strange := f.client(ClientConfig{Cert: f.at("client.crt"), Key: f.at("client.key")})
	named := f.client(ClientConfig{CA: f.at("ca.pem"), ServerName: "other"})
	for _, c := range []struct {
		what   string
		server *tls.Config
		client *tls.Config
		ok     bool
	}{
		{"trusted CA", plain, trusting.TLS("localhost"), true},
		{"trusted CA, other host", plain, trusting.TLS("example.com"), false},
		{"other server name", plain, named.TLS("localhost"), false},
		{"system's CAs", plain, strange.TLS("localhost"), false},
		{"client certificate", mutual, known.TLS("localhost"), true},
		{"no client certificate", mutual, trusting.TLS("localhost"), false},
		{"TLS 1.1", plain, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, InsecureSkipVerify: true}, false},
		{"HTTP/2 alone", plain, &tls.Config{NextProtos: []string{"h2"}, InsecureSkipVerify: true}, false},
	} {
		name, serverErr, clientErr := handshake(t, c.server, c.client)
		if err := errors.Join(serverErr, clientErr); (err == nil) != c.ok || c.ok && name != "server" {
			t.Errorf("%s: %q, %v", c.what, name, err)
		}
	}
}

func TestRotation(t *testing.T) {
	f := newFixture(t)
	f.issue("server", soon)
	server, client := f.listener(f.serverConfig("server")), f.client(ClientConfig{CA: f.at("ca.pem")})
	want := func(common string) {
		t.Helper()
		if name, serverErr, clientErr := handshake(t, server, client.TLS("localhost")); name != common || serverErr != nil || clientErr != nil {
			t.Fatalf("%q, %v, %v, want %q", name, serverErr, clientErr, common)
		}
	}
	want("server")
	next, err := f.ca.Issue("next", soon)
	f.must(err)
	f.write("server.crt", next.Cert) // its key is not there yet
	if err := f.watcher.Reload(); err == nil || !strings.Contains(err.Error(), "TLS_KEY its key") {
		t.Fatalf("%v", err)
	}
	want("server")
	f.write("server.key", next.Key)
	f.must(f.watcher.Reload())
	want("next")

	f.ca = f.authority("ca") // another one, which did not sign the certificate
	f.must(f.watcher.Reload())
	if _, _, err := handshake(t, server, client.TLS("localhost")); err == nil {
		t.Error("the old CA is trusted")
	}
}

// A client whose CA was removed is refused, even if it has a session to resume.
func TestRemovedClientCA(t *testing.T) {
	f := newFixture(t)
	f.issue("server", soon)
	f.issue("client", soon)
	f.write("clients.pem", f.ca.PEM)
	c := f.serverConfig("server")
	c.ClientCA = f.at("clients.pem")
	server := f.listener(c)
	client := f.client(ClientConfig{CA: f.at("ca.pem"), Cert: f.at("client.crt"), Key: f.at("client.key")}).TLS("localhost")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if _, serverErr, clientErr := handshake(t, server, client); serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	f.authority("clients")
	f.must(f.watcher.Reload())
	if _, err, _ := handshake(t, server, client); err == nil {
		t.Error("the client is accepted")
	}
}

// Requests continue while the certificate changes, over old connections and new ones.
func TestRotationUnderLoad(t *testing.T) {
	f := newFixture(t)
	f.issue("server", soon)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	secure := tls.NewListener(l, f.listener(f.serverConfig("server"))) // before the first rotation
	serving := make(chan error)
	go func() { serving <- server.Serve(secure) }()
	trusting := f.client(ClientConfig{CA: f.at("ca.pem")})
	var rotations atomic.Int64
	var clients sync.WaitGroup
	for i := range 4 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0, TLSClientConfig: trusting.TLS("localhost")}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for rotations.Load() < 20 {
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String(), nil)
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
			}
		})
	}
	for i := range 20 {
		f.issue("server", soon.Add(time.Duration(i)*time.Second))
		f.must(f.watcher.Reload())
		rotations.Add(1)
	}
	clients.Wait()
	f.must(server.Close())
	if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestWrongFiles(t *testing.T) {
	f := newFixture(t)
	f.issue("server", soon)
	f.issue("other", soon)
	f.issue("old", time.Now().Add(-time.Hour))
	f.write("text", []byte("text"))
	f.write("empty", nil)
	old, err := certificatetest.NewAuthority("old", time.Now().Add(-time.Hour))
	f.must(err)
	f.write("old.pem", old.PEM)
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"no key":          {Config{Cert: f.at("server.crt")}, `TLS_CERT is "` + f.at("server.crt") + `": ADMIN_TLS_KEY must be set, too`},
		"no certificate":  {Config{Key: f.at("server.key")}, "ADMIN_TLS_CERT must be set, too"},
		"client CA alone": {Config{ClientCA: f.at("ca.pem")}, "ADMIN_TLS_CLIENT_CA is"},
		"missing":         {Config{Cert: f.at("x"), Key: f.at("server.key")}, `ADMIN_TLS_CERT is "` + f.at("x") + `": it cannot be read`},
		"missing key":     {Config{Cert: f.at("server.crt"), Key: f.at("x")}, "ADMIN_TLS_KEY is"},
		"directory":       {Config{Cert: f.dir, Key: f.at("server.key")}, "a directory"},
		"text":            {Config{Cert: f.at("text"), Key: f.at("server.key")}, "it must be a certificate in PEM"},
		"text as key":     {Config{Cert: f.at("server.crt"), Key: f.at("text")}, "it must be a private key in PEM"},
		"other key":       {Config{Cert: f.at("server.crt"), Key: f.at("other.key")}, "and ADMIN_TLS_KEY its key"},
		"expired":         {f.serverConfig("old"), "it must be valid now, and expired at"},
		"empty CA":        {Config{f.at("server.crt"), f.at("server.key"), f.at("empty")}, "ADMIN_TLS_CLIENT_CA is \"" + f.at("empty") + "\": it must have at least one certificate"},
		"key as CA":       {Config{f.at("server.crt"), f.at("server.key"), f.at("server.key")}, "it must have at least one certificate"},
		"expired CA":      {Config{f.at("server.crt"), f.at("server.key"), f.at("old.pem")}, "the last expired at"},
	} {
		if _, err := f.store.Listener(Admin, "ADMIN_", c.config, tls.RequireAndVerifyClientCert); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		config ClientConfig
		want   string
	}{
		"no key":   {ClientConfig{Cert: f.at("server.crt")}, "ANALYZER_KEY must be set, too"},
		"no CA":    {ClientConfig{CA: f.at("x")}, "ANALYZER_CA is"},
		"empty CA": {ClientConfig{CA: f.at("empty")}, "at least one certificate"},
		"expired":  {ClientConfig{CA: f.at("ca.pem"), Cert: f.at("old.crt"), Key: f.at("old.key")}, `ANALYZER_CERT is "` + f.at("old.crt") + `": it must be valid now`},
	} {
		if _, err := f.store.Client(Analyzer, "ANALYZER_", c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestExpiryMetric(t *testing.T) {
	f := newFixture(t)
	f.issue("server", soon)
	f.issue("client", soon.Add(-time.Minute))
	f.issue("later", soon)
	c := f.serverConfig("server")
	c.ClientCA = f.at("ca.pem")
	f.listener(c)
	f.client(ClientConfig{Cert: f.at("later.crt"), Key: f.at("later.key")})
	first := f.client(ClientConfig{CA: f.at("ca.pem"), Cert: f.at("client.crt"), Key: f.at("client.key")})
	const name = "distributor_tls_certificate_expiry_timestamp_seconds"
	want := func(uses map[string]time.Time) {
		t.Helper()
		text := "# HELP " + name + " When the first certificate of a use expires, and of CA files when the last one does, as a Unix time.\n# TYPE " + name + " gauge\n"
		for use, at := range uses {
			text += fmt.Sprintf("%s{use=%q} %d\n", name, use, at.Unix())
		}
		if err := testutil.GatherAndCompare(f.registry, strings.NewReader(text), name); err != nil {
			t.Error(err)
		}
	}
	ca := soon.Add(time.Hour)
	want(map[string]time.Time{"ingest": soon, "ingest_client_ca": ca, "analyzer": soon.Add(-time.Minute), "analyzer_ca": ca})
	first.Close()
	f.issue("server", soon.Add(time.Minute))
	f.must(f.watcher.Reload())
	want(map[string]time.Time{"ingest": soon.Add(time.Minute), "ingest_client_ca": ca, "analyzer": soon})
	gathered, err := f.registry.Gather()
	f.must(err)
	if problems, err := promlint.NewWithMetricFamilies(gathered).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestClientConfigOr(t *testing.T) {
	fallback := ClientConfig{CA: "ca", Cert: "cert", Key: "key", ServerName: "name"}
	own := ClientConfig{Cert: "own", Key: "own-key"}
	if got := own.Or(fallback); got != (ClientConfig{CA: "ca", Cert: "own", Key: "own-key", ServerName: "name"}) {
		t.Errorf("%+v", got)
	}
	if got := (ClientConfig{}).Or(fallback); got != fallback {
		t.Errorf("%+v", got)
	}
}
