package natslink

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Config is what users set for the connection; the tags are those of package config.
type Config struct {
	Servers Servers `env:"NATS_URL" help:"comma-separated URLs of NATS servers, for JOURNAL=jetstream, such as nats://nats-1:4222,nats://nats-2:4222"`
	Creds   string  `env:"NATS_CREDS" help:"file of the NATS user's credentials, read at each connection (default: none)"`
	CA      string  `env:"NATS_CA" help:"PEM file of the CAs that sign the NATS servers' certificates, read at each connection; enables TLS (default: those of the system)"`
	Cert    string  `env:"NATS_CERT" help:"PEM file of the client certificate for NATS, with its chain, read at each connection (default: none)"`
	Key     string  `env:"NATS_KEY" help:"PEM file of the key of the client certificate for NATS, read at each connection"`
}

// Servers is a comma-separated list of URLs. Its String has no passwords.
type Servers string

// String returns the list without users and passwords.
func (s Servers) String() string {
	parts := strings.Split(string(s), ",")
	for i := range parts {
		parts[i] = withoutUser(parts[i])
	}
	return strings.Join(parts, ",")
}

// withoutUser returns a URL without its user and password.
func withoutUser(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "xxxxx" + text[at:]
	}
	return text
}

// List returns the URLs.
func (s Servers) List() []string {
	var all []string
	for part := range strings.SplitSeq(string(s), ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// Validate returns an error for each setting that cannot be.
func (c Config) Validate() error {
	var missing error
	if len(c.Servers.List()) == 0 {
		missing = errors.New("NATS_URL is required with JOURNAL=jetstream: nats://HOST:4222, several separated by commas")
	}
	return errors.Join(missing, c.Servers.Validate("NATS_URL", "nats", "tls"), c.validateCertificate())
}

func (c Config) validateCertificate() error {
	if (c.Cert == "") != (c.Key == "") {
		return fmt.Errorf("NATS_CERT is %q and NATS_KEY is %q: a certificate and its key go together", c.Cert, c.Key)
	}
	return nil
}

// Validate returns an error, with the name of the setting, unless each URL has one of two
// schemes.
func (s Servers) Validate(key string, schemes ...string) error {
	for _, one := range s.List() {
		u, err := url.Parse(one)
		if err == nil && u.Host != "" && (u.Scheme == schemes[0] || u.Scheme == schemes[1]) {
			continue
		}
		if strings.Contains(string(s), "@") && !strings.Contains(one, "@") { // it may be the begin of a password
			return fmt.Errorf("%s: each URL must begin with %s:// or %s:// and have a host and a port; a comma in a password is %%2C", key, schemes[0], schemes[1])
		}
		return fmt.Errorf("%s has %q: it must be a URL with %s:// or %s://", key, withoutUser(one), schemes[0], schemes[1])
	}
	return nil
}
