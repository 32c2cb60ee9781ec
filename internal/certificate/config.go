// Package certificate has the TLS configurations of listeners and of connections to
// analyzers, from files that are read again when their content changes (package filewatch).
// A change applies to handshakes; it touches no open connection. The files may be links,
// as those are that Kubernetes mounts.
package certificate

import (
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Config is the TLS of a listener; the tags are those of package config, and its owner
// prefixes them. Without a certificate the listener has no TLS.
type Config struct {
	Cert     string `env:"TLS_CERT" reload:"replace" help:"PEM file of the certificate, with its chain; enables TLS (default: none)"`
	Key      string `env:"TLS_KEY" reload:"replace" help:"PEM file of the certificate's key"`
	ClientCA string `env:"TLS_CLIENT_CA" reload:"live" help:"PEM file of the CAs whose client certificates are required (default: none is required)"`
}

// Enabled reports whether the listener has TLS.
func (c Config) Enabled() bool { return c.Cert != "" }

// Validate returns an error if settings are missing. The prefix is that of the settings.
func (c Config) Validate(prefix string) error {
	if err := validatePair(prefix+"TLS_CERT", c.Cert, prefix+"TLS_KEY", c.Key); err != nil {
		return err
	}
	if c.ClientCA != "" && !c.Enabled() {
		return config.Refuse(prefix+"TLS_CLIENT_CA", c.ClientCA, "empty without "+prefix+"TLS_CERT and "+prefix+"TLS_KEY", "%sTLS_CLIENT_CA is %q: it must be empty without %sTLS_CERT and %sTLS_KEY", prefix, c.ClientCA, prefix, prefix)
	}
	return nil
}

// ClientConfig is the TLS of connections to a server; the tags are those of package config,
// and its owner prefixes them. It is comparable.
type ClientConfig struct {
	CA         string `env:"CA" reload:"live" help:"PEM file of the CAs that sign the server's certificate (default: those of the system)"`
	Cert       string `env:"CERT" reload:"live" help:"PEM file of the client certificate, with its chain (default: none)"`
	Key        string `env:"KEY" reload:"live" help:"PEM file of the client certificate's key"`
	ServerName string `env:"SERVER_NAME" reload:"live" help:"name that the server's certificate must have (default: the host of the URL)"`
}

// Validate returns an error if settings are missing. The prefix is that of the settings.
func (c ClientConfig) Validate(prefix string) error {
	return validatePair(prefix+"CERT", c.Cert, prefix+"KEY", c.Key)
}

// Or returns the configuration with the settings of fallback where it has none. A
// certificate and its key go together.
func (c ClientConfig) Or(fallback ClientConfig) ClientConfig {
	if c.CA == "" {
		c.CA = fallback.CA
	}
	if c.Cert == "" && c.Key == "" {
		c.Cert, c.Key = fallback.Cert, fallback.Key
	}
	if c.ServerName == "" {
		c.ServerName = fallback.ServerName
	}
	return c
}

func validatePair(certKey, cert, keyKey, key string) error {
	if (cert == "") == (key == "") {
		return nil
	}
	given, file, missing := certKey, cert, keyKey
	if cert == "" {
		given, file, missing = keyKey, key, certKey
	}
	return filewatch.Source{Key: given, Path: file}.Errorf("%s must be set, too: a certificate and its key go together", missing)
}
