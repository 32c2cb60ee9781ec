package adminclient

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// maxTokenBytes bounds a token.
const maxTokenBytes = 4096

// token is a bearer token that may be rotated in its file. It may be used concurrently.
type token struct {
	path string

	mu    sync.Mutex
	value string // guarded by mu
}

func newToken(c Config) (*token, error) {
	t := &token{path: c.TokenFile, value: c.Token}
	if t.path == "" {
		return t, checkToken("ADMIN_TOKEN", t.value)
	}
	var err error
	t.value, err = readToken(t.path)
	return t, err
}

func (t *token) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.value
}

// renew reads the file again after the server refused the token, and reports whether there
// is another token. A pipe has only one.
func (t *token) renew(refused string) bool {
	info, err := os.Stat(cmp.Or(t.path, os.DevNull))
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	value, err := readToken(t.path)
	if err != nil || value == refused {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.value = value
	return true
}

// readToken reads a file that the operator names, which may be a link, as a mounted secret
// is, or a pipe.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("-token-file: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("-token-file: %w", err)
	}
	value := string(bytes.TrimSpace(text))
	if value == "" {
		return "", fmt.Errorf("-token-file %s is empty: it must have the token in one line", path)
	}
	return value, checkToken("-token-file "+path, value)
}

// checkToken returns an error, without the token, unless it can be sent in a header.
func checkToken(from, value string) error {
	if len(value) > maxTokenBytes || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%s must have one line of at most %d visible ASCII characters", from, maxTokenBytes)
	}
	return nil
}

// tlsConfig returns the configuration of connections to an https URL. The client's
// certificate is read for each connection, as it may be rotated.
func (c Config) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ADMIN_CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ADMIN_CA %s has no certificate in PEM", c.CA)
		}
	}
	if c.Cert == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("ADMIN_CLIENT_CERT, ADMIN_CLIENT_KEY: %w", err)
		}
		return &pair, nil
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	_, err := load()
	return config, err
}
