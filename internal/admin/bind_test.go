package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Logs have the name that clients use, not the name that the socket got first.
func TestAddressOfUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes of files")
	}
	config := control.AdminConfig{Addr: "unix:" + filepath.Join(shortDir(t), "s")}
	l, err := Listen(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	if got := AddressOf(config, l); got != config.Addr {
		t.Error(got)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close() //nolint:errcheck // of a test
	if got := AddressOf(control.AdminConfig{Addr: "localhost:0"}, tcp); got != tcp.Addr().String() {
		t.Error(got)
	}
}

// An address that other hosts can reach needs a credential.
func TestListenNeedsCredentials(t *testing.T) {
	for _, c := range []struct {
		config control.AdminConfig
		ok     bool
	}{
		{control.AdminConfig{Addr: "127.0.0.1:0"}, true},
		{control.AdminConfig{Addr: "localhost:0"}, true},
		{control.AdminConfig{Addr: ":0"}, false},
		{control.AdminConfig{Addr: "0.0.0.0:0"}, false},
		{control.AdminConfig{Addr: "0.0.0.0:0", Token: "secret"}, true},
		{control.AdminConfig{Addr: ":0", TokensFile: "tokens"}, true},
		{control.AdminConfig{Addr: ":0", ClientCA: "ca.pem"}, true},
	} {
		l, err := Listen(c.config, nil)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "ADMIN_TOKEN") {
			t.Errorf("%+v: %v", c.config, err)
		}
		if err == nil {
			_ = l.Close()
		}
	}
	if l, err := Listen(control.AdminConfig{Addr: control.Off}, nil); l != nil || err != nil {
		t.Errorf("off: %v, %v", l, err)
	}
}

// An inherited listener is used, and its own address decides whether it needs a credential.
func TestListenInherits(t *testing.T) {
	inherited, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(control.AdminConfig{Addr: "127.0.0.1:1"}, inherited); l != inherited || err != nil {
		t.Errorf("%v, %v", l, err)
	}
	_ = inherited.Close()
	open, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(control.AdminConfig{Addr: "127.0.0.1:1"}, open); err == nil {
		t.Error("a listener that others can reach is used without a credential")
	}
	if _, err := open.Accept(); err == nil {
		t.Error("the refused listener is not closed")
	}
}

// Without a credential only local callers are served, even after a reload removes the credentials.
func TestOpenAccessIsLocal(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{})
	g.local = false
	g.want(asks{method: "GET", path: "/v1/thing"}, 401, unauthorized)
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes of files")
	}
	path := filepath.Join(shortDir(t), "s")
	config := control.AdminConfig{Addr: "unix:" + path}
	l, err := Listen(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Listen(config, nil); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("the socket of a running process was replaced: %v", err)
	}
	_ = l.Close() // as after a crash: the file stays
	if l, err = Listen(config, nil); err != nil {
		t.Fatal(err)
	}
	if response := overUnix(t, l, path); response != http.StatusOK {
		t.Errorf("%d", response)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(config, nil); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a file was replaced: %v", err)
	}
}

// shortDir returns a directory whose name is short enough for the address of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// overUnix serves a listener and returns the status of a request.
func overUnix(t *testing.T, l net.Listener, path string) int {
	t.Helper()
	server := serveProbes(t, l, control.AdminConfig{}, nil)
	defer stop(t, server)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	return statusOf(t, transport, "http://localhost/-/healthy", "")
}

func serveProbes(t *testing.T, l net.Listener, config control.AdminConfig, secure *certificate.Listener) *Server {
	t.Helper()
	server, err := Serve(l, Dependencies{
		Access: newAccess(t, config, secure), DataDir: t.TempDir(), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func statusOf(t *testing.T, transport *http.Transport, url, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

// tlsServer is an admin server over TLS with an authority of client certificates.
type tlsServer struct {
	*testing.T
	dir     string
	ca      *certificatetest.Authority
	certs   map[string]tls.Certificate // of clients
	config  control.AdminConfig
	watcher *filewatch.Watcher
	store   *certificate.Store
	url     string
}

func newTLSServer(t *testing.T) *tlsServer {
	t.Helper()
	s := &tlsServer{T: t, dir: t.TempDir(), certs: make(map[string]tls.Certificate)}
	var err error
	s.ca, err = certificatetest.NewAuthority("ca", time.Now().Add(time.Hour))
	s.must(err)
	s.config = control.AdminConfig{
		Addr: "127.0.0.1:0", TLSCert: filepath.Join(s.dir, "server.crt"), TLSKey: filepath.Join(s.dir, "server.key"), ClientCA: filepath.Join(s.dir, "ca.pem"),
	}
	s.write(s.config.ClientCA, s.ca.PEM)
	for _, name := range []string{"server", "viewer", "stranger"} {
		pair, err := s.ca.Issue(name, time.Now().Add(time.Hour))
		s.must(err)
		_, _, err = pair.Write(s.dir, name)
		s.must(err)
		s.certs[name], err = tls.X509KeyPair(pair.Cert, pair.Key)
		s.must(err)
	}
	s.watcher, s.store = newStore(t)
	return s
}

func (s *tlsServer) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *tlsServer) write(path string, content []byte) {
	s.Helper()
	s.must(os.WriteFile(path, content, 0o600))
}

// serve starts the server.
func (s *tlsServer) serve() *Server {
	s.Helper()
	secure, err := TLS(s.config, s.store)
	s.must(err)
	l, err := Listen(s.config, nil)
	s.must(err)
	s.url = "https://" + l.Addr().String() + "/v1/openapi.json"
	return serveProbes(s.T, l, s.config, secure)
}

// as returns the transport of a client with a certificate, or without one.
func (s *tlsServer) as(name string) *http.Transport {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.ca.PEM)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, DisableKeepAlives: true}
	if name != "" {
		transport.TLSClientConfig.Certificates = []tls.Certificate{s.certs[name]}
	}
	return transport
}

// wantStatus checks the responses to clients with certificates.
func (s *tlsServer) wantStatus(want map[string]int) {
	s.Helper()
	for name, status := range want {
		if got := statusOf(s.T, s.as(name), s.url, ""); got != status {
			s.Errorf("%q: %d, want %d", name, got, status)
		}
	}
}

// Over TLS a client certificate is a credential while its authority is trusted.
func TestClientCertificates(t *testing.T) {
	s := newTLSServer(t)
	defer stop(t, s.serve())
	s.wantStatus(map[string]int{"": 401, "viewer": 200, "stranger": 200})
	kept := s.as("viewer")
	kept.DisableKeepAlives = false
	defer kept.CloseIdleConnections()
	if got := statusOf(t, kept, s.url, ""); got != 200 {
		t.Errorf("before the authority is replaced: %d", got)
	}
	other, err := certificatetest.NewAuthority("other", time.Now().Add(time.Hour))
	s.must(err)
	s.write(s.config.ClientCA, other.PEM)
	s.must(s.watcher.Reload())
	if got := statusOf(t, kept, s.url, ""); got != 401 {
		t.Errorf("on a connection from before the authority was replaced: %d", got)
	}
}

// With a file of tokens, the file gives the names of certificates their roles.
func TestRolesOfCertificates(t *testing.T) {
	s := newTLSServer(t)
	s.config.TokensFile, s.config.Token = filepath.Join(s.dir, "tokens"), "secret"
	s.write(s.config.TokensFile, []byte("viewer read cert:viewer\n"))
	defer stop(t, s.serve())
	s.wantStatus(map[string]int{"": 401, "viewer": 200, "stranger": 401})
	if got := statusOf(t, s.as(""), s.url, "secret"); got != 200 {
		t.Errorf("a token over TLS: %d", got)
	}
}
