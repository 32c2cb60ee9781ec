package certificate

import (
	"crypto/tls"
	"time"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Client is the TLS of connections to a server. It may be used concurrently.
type Client struct {
	store      *Store
	load       *load // nil if there are no files
	serverName string
}

// Client returns the TLS of connections to a server, whose files are watched until Close.
// The prefix is that of the settings, for errors.
func (s *Store) Client(use Use, prefix string, c ClientConfig) (*Client, error) {
	if err := c.Validate(prefix); err != nil {
		return nil, err
	}
	client := &Client{store: s, serverName: c.ServerName}
	var sources []filewatch.Source
	if c.CA != "" {
		sources = append(sources, filewatch.Source{Key: prefix + "CA", Path: c.CA})
	}
	if c.Cert != "" {
		sources = append(sources, filewatch.Source{Key: prefix + "CERT", Path: c.Cert}, filewatch.Source{Key: prefix + "KEY", Path: c.Key})
	}
	if len(sources) == 0 {
		return client, nil
	}
	var err error
	client.load, err = s.add(use, sources, func(contents [][]byte) (*material, error) {
		return clientMaterial(use, sources, contents)
	})
	return client, err
}

// clientMaterial parses CAs, a certificate and its key, or one of the two.
func clientMaterial(use Use, sources []filewatch.Source, contents [][]byte) (*material, error) {
	m := &material{config: &tls.Config{MinVersion: tls.VersionTLS12}, expiries: make(expiries)}
	if len(sources) != 2 {
		var expiry time.Time
		var err error
		if m.config.RootCAs, expiry, err = parsePool(sources[0], contents[0]); err != nil {
			return nil, err
		}
		m.expiries[string(use)+"_ca"] = expiry
		sources, contents = sources[1:], contents[1:]
	}
	if len(sources) == 0 {
		return m, nil
	}
	pair, err := parsePair(sources[0], sources[1], contents[0], contents[1])
	if err != nil {
		return nil, err
	}
	m.config.Certificates, m.expiries[string(use)] = []tls.Certificate{pair}, pairExpiry(pair)
	return m, nil
}

// TLS returns the configuration of one handshake with a host.
func (c *Client) TLS(host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.load != nil {
		config = c.load.Value().config.Clone()
	}
	if config.ServerName = host; c.serverName != "" {
		config.ServerName = c.serverName
	}
	return config
}

// Close ends the watch of the files. Connections and TLS continue.
func (c *Client) Close() {
	if c.load != nil {
		c.store.remove(c.load)
	}
}
