package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Listener is the TLS of a listener for HTTP/1.1. It may be used concurrently.
type Listener struct {
	store   *Store
	use     Use
	prefix  string
	auth    tls.ClientAuthType
	current atomic.Pointer[listening]
}

// listening is a configuration with what its files hold.
type listening struct {
	config Config
	load   *load
}

// Listener returns the TLS of a listener, whose files are watched from then on; c must be
// enabled. The prefix is that of the settings, for errors. With client CAs, auth is how clients are
// verified; without, they need no certificate.
func (s *Store) Listener(use Use, prefix string, c Config, auth tls.ClientAuthType) (*Listener, error) {
	l := &Listener{store: s, use: use, prefix: prefix, auth: auth}
	commit, _, err := l.Prepare(c)
	if err != nil {
		return nil, err
	}
	commit()
	return l, nil
}

// Prepare reads the files of another configuration, which must be enabled. Either commit or
// abort must be called: the first uses them from the next handshake on, the second forgets
// them. There must be one at a time.
func (l *Listener) Prepare(c Config) (commit, abort func(), err error) {
	old := l.current.Load()
	if old != nil && old.config == c {
		return func() {}, func() {}, nil
	}
	load, err := l.load(c)
	if err != nil {
		return nil, nil, err
	}
	commit = func() {
		l.current.Store(&listening{c, load})
		if old != nil {
			l.store.remove(old.load)
		}
	}
	return commit, func() { l.store.remove(load) }, nil
}

// TLS returns the configuration of the listener, which has what is in use at each handshake.
func (l *Listener) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.handshake(), nil },
	}
}

func (l *Listener) handshake() *tls.Config { return l.current.Load().load.Value().config }

// ClientCAs returns the CAs of client certificates that are in use now, or nil.
func (l *Listener) ClientCAs() *x509.CertPool { return l.handshake().ClientCAs }

func (l *Listener) load(c Config) (*load, error) {
	if err := c.Validate(l.prefix); err != nil {
		return nil, err
	}
	prefix := l.prefix
	sources := []filewatch.Source{{Key: prefix + "TLS_CERT", Path: c.Cert}, {Key: prefix + "TLS_KEY", Path: c.Key}}
	if c.ClientCA != "" {
		sources = append(sources, filewatch.Source{Key: prefix + "TLS_CLIENT_CA", Path: c.ClientCA})
	}
	return l.store.add(l.use, sources, func(contents [][]byte) (*material, error) {
		return listenerMaterial(l.use, sources, contents, l.auth)
	})
}

// listenerMaterial parses a certificate, its key and, if there is a third file, client CAs.
func listenerMaterial(use Use, sources []filewatch.Source, contents [][]byte, auth tls.ClientAuthType) (*material, error) {
	pair, err := parsePair(sources[0], sources[1], contents[0], contents[1])
	if err != nil {
		return nil, err
	}
	m := &material{
		config:   &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		expiries: expiries{string(use): pairExpiry(pair)},
	}
	if len(sources) < 3 {
		return m, nil
	}
	pool, expiry, err := parsePool(sources[2], contents[2])
	m.config.ClientCAs, m.config.ClientAuth = pool, auth
	m.expiries[string(use)+"_client_ca"] = expiry
	return m, err
}
