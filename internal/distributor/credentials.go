package distributor

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/native"
)

// credentials are the certificates and tokens that the distributor reads from files.
type credentials struct {
	files        *filewatch.Watcher
	certificates *certificate.Store
	pseudonym    string                        // of this distributor, see native.Via
	ingest       *certificate.Listener         // nil: without TLS
	tokens       atomic.Pointer[emitterTokens] // nil: no token is needed

	handshakeFailures prometheus.Counter // of the ingest port

	mu             sync.Mutex // guards the fields below
	clients        map[certificate.ClientConfig]*certificate.Client
	authorizations map[authorization]*filewatch.File[string]
}

// emitterTokens are the principals that may send packets.
type emitterTokens struct {
	path string
	file *filewatch.File[*credential.Set]
}

// loadCredentials returns the errors of all files together.
func loadCredentials(config Config, logger *slog.Logger, registerer prometheus.Registerer) (*credentials, error) {
	r := metric.On(registerer)
	c := &credentials{
		clients:           make(map[certificate.ClientConfig]*certificate.Client),
		authorizations:    make(map[authorization]*filewatch.File[string]),
		pseudonym:         native.Pseudonym(rand.Text()),
		handshakeFailures: r.Counter("distributor_tls_handshake_failures_total", "TLS handshakes with emitters that failed."),
	}
	err := r.Err()
	if err != nil {
		return nil, err
	}
	if c.files, err = filewatch.New(logger, registerer); err != nil {
		return nil, err
	}
	if c.certificates, err = certificate.NewStore(c.files, registerer); err != nil {
		return nil, err
	}
	var errs []error
	if config.TLS.Enabled() {
		c.ingest, err = c.certificates.Listener(certificate.Ingest, "", config.TLS, tls.RequireAndVerifyClientCert)
		errs = append(errs, err)
	}
	if config.TokensFile != "" {
		tokens, err := c.loadTokens(config.TokensFile)
		c.tokens.Store(tokens)
		errs = append(errs, err)
	}
	_, err = c.client("ANALYZER_", config.AnalyzerTLS) // the files are checked even if no analyzer needs them yet
	errs = append(errs, err)
	for _, t := range config.Targets {
		if t.TLS != (certificate.ClientConfig{}) {
			_, err := c.client(t.tlsPrefix(), t.TLS.Or(config.AnalyzerTLS))
			errs = append(errs, err)
		}
		b, err := t.backend()
		if err == nil {
			_, err = c.authorization(t, b.authorization())
		}
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

// CheckCredentials returns the errors of the files of certificates and tokens.
func (c Config) CheckCredentials() error {
	_, err := loadCredentials(c, slog.New(slog.DiscardHandler), nil)
	return err
}

func (c *credentials) loadTokens(path string) (*emitterTokens, error) {
	source := filewatch.Source{Key: "INGEST_TOKENS_FILE", Path: path}
	file, err := credential.Load(c.files, "ingest_tokens", source, credential.Emitters)
	if err != nil {
		return nil, err
	}
	return &emitterTokens{path, file}, nil
}

// principals returns a function that returns the principals that may send packets; nil allows all
// clients.
func (c *credentials) principals() func() *credential.Set {
	if c.tokens.Load() == nil {
		return nil
	}
	return func() *credential.Set { return c.tokens.Load().file.Value() }
}

// listenerTLS returns the TLS of the ingest port, or nil.
func (c *credentials) listenerTLS() *tls.Config {
	if c.ingest == nil {
		return nil
	}
	return c.ingest.TLS()
}

// prepared are the files of the ingest port that another configuration names. The caller must call
// either commit or abort.
type prepared struct{ commit, abort []func() }

func (p prepared) done(list []func()) {
	for _, f := range list {
		f()
	}
}

// prepare reads the files that another configuration names for the ingest port and for all
// analyzers. The function keep decides on the files of analyzers.
func (c *credentials) prepare(next Config) (p prepared, err error) {
	if c.ingest != nil {
		commit, abort, err := c.ingest.Prepare(next.TLS)
		if err != nil {
			return p, err
		}
		p.commit, p.abort = append(p.commit, commit), append(p.abort, abort)
	}
	if old := c.tokens.Load(); old != nil && old.path != next.TokensFile {
		tokens, err := c.loadTokens(next.TokensFile)
		if err != nil {
			p.done(p.abort)
			return p, err
		}
		p.commit = append(p.commit, func() { c.tokens.Store(tokens); old.file.Close() })
		p.abort = append(p.abort, tokens.file.Close)
	}
	if _, err := c.client("ANALYZER_", next.AnalyzerTLS); err != nil {
		p.done(p.abort)
		return p, err
	}
	return p, nil
}

// clientTLS is the TLS of one analyzer. A configuration may change it while the analyzer runs; it
// applies to new connections.
type clientTLS struct {
	current atomic.Pointer[certificate.Client]
}

func (c *clientTLS) config(host string) *tls.Config { return c.current.Load().TLS(host) }

// analyzer returns the TLS of an analyzer, or nil if it has none. Its files are watched until
// keep.
func (c *credentials) analyzer(t Target, fallback certificate.ClientConfig) (*certificate.Client, error) {
	if !sink.HasTLS(t.URL) {
		return nil, nil
	}
	return c.client(t.tlsPrefix(), t.TLS.Or(fallback))
}

// client returns the TLS of a configuration. Its files are watched once, until keep.
func (c *credentials) client(prefix string, config certificate.ClientConfig) (*certificate.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.clients[config]; client != nil {
		return client, nil
	}
	client, err := c.certificates.Client(certificate.Analyzer, prefix, config)
	if err == nil {
		c.clients[config] = client
	}
	return client, err
}

// keep ends the watches of files that no analyzer needs any more.
func (c *credentials) keep(config Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	needed := map[certificate.ClientConfig]bool{config.AnalyzerTLS: true}
	authorizations := make(map[authorization]bool)
	for _, t := range config.Targets {
		needed[t.TLS.Or(config.AnalyzerTLS)] = true
		if b, err := t.backend(); err == nil {
			authorizations[b.authorization()] = true
		}
	}
	for of, client := range c.clients {
		if !needed[of] {
			client.Close()
			delete(c.clients, of)
		}
	}
	for of, file := range c.authorizations {
		if !authorizations[of] {
			file.Close()
			delete(c.authorizations, of)
		}
	}
}

// CredentialPaths returns the paths of the files of certificates and tokens.
func (c Config) CredentialPaths() []string {
	paths := []string{c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA, c.TokensFile}
	for _, t := range append(Targets{{TLS: c.AnalyzerTLS}}, c.Targets...) {
		paths = append(paths, t.TLS.CA, t.TLS.Cert, t.TLS.Key, t.Token().File)
	}
	return slices.DeleteFunc(paths, func(path string) bool { return path == "" })
}

// StageCredentials reads the files of certificates and tokens at the paths, which are those of the
// next configuration, and returns the errors of unusable files. The new contents are in use after
// commit, and not before. It may be called concurrently.
func (d *Distributor) StageCredentials(paths []string) (commit func(), err error) {
	return d.credentials.files.Stage(paths)
}

// CredentialFiles returns the watcher of the files, and Certificates the store on it, for
// other listeners of the process. They are watched from Start to Stop.
func (d *Distributor) CredentialFiles() *filewatch.Watcher { return d.credentials.files }

// Certificates returns the store of certificates, see CredentialFiles.
func (d *Distributor) Certificates() *certificate.Store { return d.credentials.certificates }
