package adminclient

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Config is where an admin API is and how a client authenticates; the tags are those of
// package config.
type Config struct {
	URL       string        `env:"ADMIN_URL" flag:"admin" help:"admin API: http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:/PATH"`
	TokenFile string        `flag:"token-file" help:"file with the bearer token; without it the environment's ADMIN_TOKEN is the token"`
	CA        string        `env:"ADMIN_CA" flag:"ca" help:"file with the certificates that sign the server's; without it those of the system"`
	Cert      string        `env:"ADMIN_CLIENT_CERT" flag:"cert" help:"file with the client's certificate"`
	Key       string        `env:"ADMIN_CLIENT_KEY" flag:"key" help:"file with the key of the client's certificate"`
	Timeout   time.Duration `flag:"timeout" min:"1ms" help:"for one request and its answer"`
	// Token is the bearer token if there is no TokenFile. It has no flag, since other users
	// of the machine can read the arguments of a process.
	Token string
}

// DefaultConfig returns the configuration for a distributor on this machine with the default
// ADMIN_ADDR.
func DefaultConfig() Config {
	return Config{URL: "http://127.0.0.1:8081", Timeout: 10 * time.Second}
}

// Validate returns an error that names the key, its value and what is allowed.
func (c Config) Validate() error {
	base, _, err := c.endpoint()
	switch {
	case err != nil:
		return err
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("ADMIN_CLIENT_CERT and ADMIN_CLIENT_KEY are needed together")
	case base.Scheme != "https" && c.CA+c.Cert != "":
		return fmt.Errorf("ADMIN_URL is %q: ADMIN_CA and ADMIN_CLIENT_CERT need https", c.URL)
	}
	return nil
}

// endpoint returns the URL that paths are joined to, and the path of the Unix socket if
// there is one.
func (c Config) endpoint() (base *url.URL, socket string, err error) {
	if path, ok := strings.CutPrefix(c.URL, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return nil, "", c.urlError()
		}
		// The host is an accepted one: see the server's ADMIN_HOSTS.
		return &url.URL{Scheme: "http", Host: "localhost"}, path, nil
	}
	text := c.URL
	if _, _, err := net.SplitHostPort(text); err == nil && !strings.Contains(text, "://") {
		text = "http://" + text
	}
	base, err = url.Parse(text)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "" ||
		base.User != nil || base.RawQuery+base.Fragment != "" || strings.Trim(base.Path, "/") != "" {
		return nil, "", c.urlError()
	}
	base.Path = ""
	return base, "", nil
}

func (c Config) urlError() error {
	shown := c.URL
	if _, rest, ok := strings.Cut(shown, "@"); ok { // a password may be before it
		shown = "…@" + rest
	}
	return fmt.Errorf("ADMIN_URL is %q: it must be http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:/PATH", shown)
}
