package distributor

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
)

// pki is a directory with a CA, ca.pem, and the certificates that it issued.
type pki struct {
	*testing.T
	dir string
	ca  *certificatetest.Authority
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	ca, err := certificatetest.NewAuthority("ca", time.Now().Add(time.Hour))
	p := &pki{t, t.TempDir(), ca}
	p.must(err)
	p.write("ca.pem", string(ca.PEM))
	return p
}

func (p *pki) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pki) at(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) write(name, text string) {
	p.Helper()
	p.must(os.WriteFile(p.at(name), []byte(text), 0o600))
}

// issue writes NAME.crt and NAME.key.
func (p *pki) issue(name string, until time.Time) tls.Certificate {
	p.Helper()
	pair, err := p.ca.Issue(name, until)
	p.must(err)
	_, _, err = pair.Write(p.dir, name)
	p.must(err)
	both, err := tls.X509KeyPair(pair.Cert, pair.Key)
	p.must(err)
	return both
}

func (p *pki) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.ca.PEM)
	return pool
}

// secureAnalyzer is an analyzer that serves TLS and requires a client certificate. It counts
// probes and packets.
func (p *pki) secureAnalyzer(packets *atomic.Int64) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ingest" {
			packets.Add(1)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{p.issue("analyzer", time.Now().Add(time.Hour))}, ClientCAs: p.pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	p.Cleanup(server.Close)
	return server
}

const tokenOfA = "web sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

// config returns the configuration of a distributor with TLS and tokens, an analyzer over HTTP and
// one over HTTPS.
func (p *pki) config(plain, encrypted string) Config {
	config := quick(p.T, Target{ID: "a", URL: plain, Weight: 0.5}, Target{ID: "b", URL: encrypted, Weight: 0.5, TLS: certificate.ClientConfig{
		Cert: p.at("client.crt"), Key: p.at("client.key"), ServerName: "localhost",
	}})
	config.AnalyzerTLS.CA = p.at("ca.pem")
	config.TLS = certificate.Config{Cert: p.at("server.crt"), Key: p.at("server.key")}
	config.TokensFile = p.at("tokens")
	return config
}

// post sends a packet with a token over TLS and returns the status.
func (p *pki) post(s *system, transport *http.Transport, token string, body []byte) int {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), http.MethodPost, "https://"+s.Addr()+"/ingest", bytes.NewReader(body))
	p.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := transport.RoundTrip(request)
	p.must(err)
	_ = response.Body.Close()
	return response.StatusCode
}

// Clients with a token send packets over TLS to a distributor with one analyzer over HTTP and one
// over HTTPS, while certificates and tokens change.
func TestTLSOnBothSides(t *testing.T) {
	p := newPKI(t)
	p.issue("server", time.Now().Add(time.Hour))
	p.issue("client", time.Now().Add(time.Hour))
	p.write("tokens", tokenOfA)
	var secure atomic.Int64
	plain, encrypted := analyzertest.New(t), p.secureAnalyzer(&secure)
	s := startSystem(t, p.config(plain.URL(), encrypted.URL)) // startSystem returns when all analyzers answer probes
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.pool(), ServerName: "localhost"}}
	defer transport.CloseIdleConnections()
	post := func(token string, body []byte) int { t.Helper(); return p.post(s, transport, token, body) }
	for i := range 20 {
		_, body := s.newPacket(1)
		if status := post("a", body); status != http.StatusAccepted {
			t.Fatalf("packet %d: %d", i, status)
		}
	}
	until(t, "both analyzers have packets", func() bool { return secure.Load() > 0 && len(plain.Taken()) > 0 })
	_, body := s.newPacket(1)
	if status := post("b", body); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", status)
	}
	p.write("tokens", strings.Replace(tokenOfA, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d", 1))
	p.must(s.CredentialFiles().Reload())
	if status := post("b", body); status != http.StatusAccepted {
		t.Errorf("the new token: %d", status)
	}
	p.write("server.crt", "not a certificate")
	if err := s.CredentialFiles().Reload(); err == nil || !strings.Contains(err.Error(), "TLS_CERT is ") {
		t.Errorf("a broken certificate: %v", err)
	}
	plaintext, err := http.Get("http://" + s.Addr() + "/ingest")
	p.must(err)
	_ = plaintext.Body.Close()
	if plaintext.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %d", plaintext.StatusCode)
	}
	until(t, "the failed handshake is counted", func() bool { return testutil.ToFloat64(s.credentials.handshakeFailures) == 1 })
	transport.CloseIdleConnections()
	if status := post("a", body); status != http.StatusUnauthorized {
		t.Errorf("the old token over a new connection: %d", status)
	}
	if n, err := testutil.GatherAndCount(s.registry, "distributor_tls_certificate_expiry_timestamp_seconds"); n != 3 || err != nil {
		t.Errorf("%d series of expiry, %v, want those of ingest, analyzer and analyzer_ca", n, err)
	}
}

// use names the files of the directory in a configuration with two analyzers.
func (p *pki) use(c *Config) {
	c.TLS = certificate.Config{Cert: p.at("server.crt"), Key: p.at("server.key"), ClientCA: p.at("ca.pem")}
	c.TokensFile = p.at("tokens")
	c.AnalyzerTLS = certificate.ClientConfig{CA: p.at("ca.pem"), Cert: p.at("client.crt"), Key: p.at("client.key"), ServerName: "localhost"}
	c.Targets[1].TLS = certificate.ClientConfig{Cert: p.at("client.crt"), Key: p.at("client.key")}
}

// sendTo returns the status of a packet over a new connection with the client's certificate, or 0
// without a response.
func (p *pki) sendTo(s *system, token string) int {
	p.Helper()
	client, err := tls.LoadX509KeyPair(p.at("client.crt"), p.at("client.key"))
	p.must(err)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: p.pool(), ServerName: "localhost", Certificates: []tls.Certificate{client}}}
	_, body := s.newPacket(1)
	request, err := http.NewRequestWithContext(p.Context(), http.MethodPost, "https://"+s.Addr()+"/ingest", strings.NewReader(string(body)))
	p.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// refusedFiles changes to a configuration with one unusable file, while the previous files are in
// use.
func (p *pki) refusedFiles(s *system, old *pki) {
	p.Helper()
	for name, change := range map[string]func(*Config){
		"certificate": func(c *Config) { c.TLS.Cert = p.at("x") },
		"key":         func(c *Config) { c.TLS.Key = p.at("client.key") },
		"client CA":   func(c *Config) { c.TLS.ClientCA = p.at("tokens") },
		"tokens":      func(c *Config) { c.TokensFile = p.at("ca.pem") },
		"analyzers":   func(c *Config) { c.AnalyzerTLS.CA = p.at("tokens") },
		"analyzer":    func(c *Config) { c.Targets[1].TLS.Key = p.at("server.key") },
		"TLS off":     func(c *Config) { c.TLS = certificate.Config{} },
		"tokens off":  func(c *Config) { c.TokensFile = "" },
	} {
		next := s.Config()
		next.Targets = append(Targets{}, next.Targets...)
		p.use(&next)
		change(&next)
		var restart *RestartRequiredError
		checked, err := s.CheckConfig(next), s.Reconfigure(p.Context(), next)
		if err == nil || checked == nil || errors.As(err, &restart) != strings.HasSuffix(name, "off") {
			p.Errorf("%s: %v, checked: %v", name, err, checked)
		}
		if status := old.sendTo(s, "a"); status != http.StatusAccepted {
			p.Errorf("%s: after the refusal: %d", name, status)
		}
	}
	if n := len(s.credentials.clients); n != 1 {
		p.Errorf("%d sets of client files are watched after the refusals", n)
	}
}

// A configuration may name other files for certificates and tokens, even if the previous files are
// gone: the next handshakes use the new files, and the analyzers stay the same. Unusable files
// change nothing. Turning TLS or tokens on or off needs a restart.
func TestChangeOfCredentialFiles(t *testing.T) {
	old, p := newPKI(t), newPKI(t)
	for _, one := range []*pki{old, p} {
		one.issue("server", time.Now().Add(time.Hour))
		one.issue("client", time.Now().Add(time.Hour))
	}
	old.write("tokens", tokenOfA)
	p.write("tokens", strings.Replace(tokenOfA, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d", 1))
	var packets atomic.Int64
	server := old.secureAnalyzer(&packets)
	config := quick(t, Target{ID: "a", URL: server.URL, Weight: 1}, Target{ID: "b", URL: old.secureAnalyzer(&packets).URL, Weight: 1})
	old.use(&config)
	s := startSystem(t, config)
	if status := old.sendTo(s, "a"); status != http.StatusAccepted {
		t.Fatalf("before the change: %d", status)
	}
	before := s.present()
	p.refusedFiles(s, old)
	p.must(os.RemoveAll(old.dir))
	next := s.Config()
	p.use(&next)
	commit, err := s.StageCredentials(next.CredentialPaths())
	p.must(err) // files that are no longer needed may be gone
	commit()
	p.must(s.Reconfigure(t.Context(), next))
	p.must(s.CredentialFiles().Reload())
	if oldStatus, status := p.sendTo(s, "a"), p.sendTo(s, "b"); oldStatus != http.StatusUnauthorized || status != http.StatusAccepted {
		t.Errorf("the old token: %d, the new one: %d", oldStatus, status)
	}
	for i, one := range s.present() {
		if one.Upstream != before[i].Upstream {
			t.Errorf("%s is another analyzer", one.ID())
		}
		if client, err := s.credentials.analyzer(one.target, next.AnalyzerTLS); err != nil || one.tls.current.Load() != client {
			t.Errorf("%s has another TLS than the configuration: %v", one.ID(), err)
		}
	}
	if n, err := testutil.GatherAndCount(s.registry, "distributor_tls_certificate_expiry_timestamp_seconds"); n != 4 || err != nil {
		t.Errorf("%d series of expiry, %v", n, err)
	}
}

// The files of an analyzer are watched until the analyzer is removed.
func TestFilesOfRemovedAnalyzer(t *testing.T) {
	p := newPKI(t)
	var packets atomic.Int64
	p.issue("client", time.Now().Add(time.Hour))
	own := certificate.ClientConfig{CA: p.at("ca.pem"), Cert: p.at("client.crt"), Key: p.at("client.key")}
	config := quick(t, Target{ID: "a", URL: analyzertest.New(t).URL(), Weight: 1})
	s := startSystem(t, config)
	both := config
	both.Targets = Targets{config.Targets[0], {ID: "b", URL: p.secureAnalyzer(&packets).URL, Weight: 1, TLS: own}}
	p.must(s.Reconfigure(t.Context(), both))
	until(t, "both analyzers are healthy", func() bool { return s.eligible() == 2 })
	p.write("ca.pem", "broken")
	if err := s.CredentialFiles().Reload(); err == nil {
		t.Error("its files are not watched")
	}
	p.must(s.Reconfigure(t.Context(), config))
	p.must(s.CredentialFiles().Reload())
}

func TestBrokenCredentials(t *testing.T) {
	p := newPKI(t)
	p.issue("server", time.Now().Add(time.Hour))
	p.issue("old", time.Now().Add(-time.Hour))
	p.write("text", "web secret")
	pair := func(name string) certificate.Config {
		return certificate.Config{Cert: p.at(name + ".crt"), Key: p.at(name + ".key")}
	}
	https := Target{URL: "https://a", Weight: 1}
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"expired certificate": {func(c *Config) { c.TLS = pair("old") }, []string{`TLS_CERT is "` + p.at("old.crt") + `": it must be valid now`}},
		"no key":              {func(c *Config) { c.TLS.Cert = p.at("server.crt") }, []string{"TLS_KEY must be set, too"}},
		"token line":          {func(c *Config) { c.TokensFile = p.at("text") }, []string{`INGEST_TOKENS_FILE is "` + p.at("text") + `": line 1: word 2`}},
		"CA of analyzers":     {func(c *Config) { c.AnalyzerTLS.CA = p.at("text") }, []string{`ANALYZER_CA is "` + p.at("text") + `": it must have at least one certificate`}},
		"CA of one analyzer": {func(c *Config) {
			c.Targets = Targets{{URL: "https://a", Weight: 1, TLS: certificate.ClientConfig{CA: p.at("x")}}}
		},
			[]string{`ANALYZERS: https://a: CA is "` + p.at("x") + `": it cannot be read`}},
		"TLS of http": {func(c *Config) {
			c.Targets = Targets{{URL: "http://a", Weight: 1, TLS: certificate.ClientConfig{CA: p.at("ca.pem")}}}
		},
			[]string{"ANALYZERS: http://a: it must be an https URL"}},
		"all": {func(c *Config) { c.TLS, c.TokensFile, c.AnalyzerTLS.CA = pair("x"), p.at("x"), p.at("x") }, []string{"TLS_CERT is", "INGEST_TOKENS_FILE is", "ANALYZER_CA is"}},
	} {
		config := quick(t, https)
		c.change(&config)
		_, err := New(config, slog.New(slog.DiscardHandler))
		checked := errors.Join(config.Validate(), config.CheckCredentials())
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
			if checked == nil || !strings.Contains(checked.Error(), want) {
				t.Errorf("%s: checked: %v, want %s", name, checked, want)
			}
		}
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: what may be a token is shown: %v", name, err)
		}
	}
}
