package certificate

import (
	"crypto/tls"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Listener returns the TLS configuration of a listener for HTTP/1.1, whose files are
// watched from then on; c must be enabled. The prefix is that of the settings, for errors.
// With client CAs, auth says what is asked of clients; without, they need no certificate.
func (s *Store) Listener(use Use, prefix string, c Config, auth tls.ClientAuthType) (*tls.Config, error) {
	if err := c.Validate(prefix); err != nil {
		return nil, err
	}
	sources := []filewatch.Source{{Key: prefix + "TLS_CERT", Path: c.Cert}, {Key: prefix + "TLS_KEY", Path: c.Key}}
	if c.ClientCA != "" {
		sources = append(sources, filewatch.Source{Key: prefix + "TLS_CLIENT_CA", Path: c.ClientCA})
	}
	l, err := s.add(use, sources, func(contents [][]byte) (*material, error) {
		return listenerMaterial(use, sources, contents, auth)
	})
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.file.Value().config, nil },
	}, nil
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
