// Package control changes a running distributor. It owns the revision: the configuration of
// file, environment and flags with the overrides that operators made over it, which it
// stores. Each change is validated, stored and applied as a whole, or not at all.
//
//	admin API, SIGHUP ─▶ Controller ─▶ overrides ─▶ resolve ─▶ store ─▶ Distributor.Reconfigure
package control

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// Config is the configuration of a distributor and of its administration.
type Config struct {
	Distributor distributor.Config
	Log         logging.Config
	Admin       AdminConfig
	// Watch reloads the file when its content changes.
	Watch bool `env:"CONFIG_WATCH" flag:"watch" help:"reload the file of -config when its content changes"`
}

// AdminConfig holds the settings of the admin API; the tags are those of package config.
type AdminConfig struct {
	Addr       string `env:"ADMIN_ADDR" help:"address of the admin API: host:port, unix:/path or off; without credentials a loopback address"`
	Token      string `env:"ADMIN_TOKEN" secret:"true" reload:"live" pattern:"^\\S*$" allowed:"characters without spaces, 16 or more; logstreamer token makes one" help:"bearer token of the admin API with all rights, of 16 characters or more"`
	TokensFile string `env:"ADMIN_TOKENS_FILE" reload:"live" help:"file with lines 'name role sha256:hex' of bearer tokens for the admin API; the roles are read, operate and register (of analyzers)"`
	Hosts      Hosts  `env:"ADMIN_HOSTS" reload:"live" help:"host names under which browsers may use the admin API, besides localhost and addresses"`
	Persist    bool   `env:"ADMIN_PERSIST" help:"keep changes made by the admin API, and events, over restarts, in DATA_DIR/overrides.json and events.ndjson"`
	TLSCert    string `env:"ADMIN_TLS_CERT" reload:"replace" help:"certificate file of the admin API, PEM; with ADMIN_TLS_KEY it serves TLS"`
	TLSKey     string `env:"ADMIN_TLS_KEY" reload:"replace" help:"key file of ADMIN_TLS_CERT, PEM"`
	ClientCA   string `env:"ADMIN_TLS_CLIENT_CA" reload:"live" help:"file of the authorities whose client certificates the admin API accepts, PEM; a certificate's name has its role in ADMIN_TOKENS_FILE"`
}

// Hosts are host names.
type Hosts []string

// String returns the names as UnmarshalText parses them.
func (h Hosts) String() string { return strings.Join(h, ",") }

// UnmarshalText parses names that are separated by commas.
func (h *Hosts) UnmarshalText(text []byte) error {
	*h = nil
	for name := range strings.SplitSeq(string(text), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if strings.ContainsAny(name, "/:* ") {
			return fmt.Errorf("%q is not a host name, such as logs.example.com", name)
		}
		if name != "" {
			*h = append(*h, name)
		}
	}
	return nil
}

// Off is the admin address that turns the admin API off.
const Off = "off"

// DefaultConfig returns the defaults; the analyzers must be set.
func DefaultConfig() Config {
	return Config{
		Distributor: distributor.DefaultConfig(),
		Log:         logging.DefaultConfig(),
		Admin:       AdminConfig{Addr: "127.0.0.1:8081", Persist: true},
	}
}

// Validate returns the errors of combinations of settings.
func (c Config) Validate() error {
	return errors.Join(c.Distributor.Validate(), c.Admin.validate())
}

func (c AdminConfig) validate() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return config.Refuse("ADMIN_TLS_CERT", c.TLSCert, "a file together with ADMIN_TLS_KEY, or both empty",
			"ADMIN_TLS_CERT is %q and ADMIN_TLS_KEY is %q: both are needed, or none", c.TLSCert, c.TLSKey)
	}
	if c.ClientCA != "" && c.TLSCert == "" {
		return config.Refuse("ADMIN_TLS_CLIENT_CA", c.ClientCA, "empty without ADMIN_TLS_CERT and ADMIN_TLS_KEY",
			"ADMIN_TLS_CLIENT_CA is %q: it needs ADMIN_TLS_CERT and ADMIN_TLS_KEY", c.ClientCA)
	}
	if path, isPath := c.UnixPath(); c.Addr == Off || isPath && path != "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		const allowed = "host:port such as 127.0.0.1:8081, unix:/path or off"
		return config.Refuse("ADMIN_ADDR", c.Addr, allowed, "ADMIN_ADDR is %q: it must be %s", c.Addr, allowed)
	}
	if !isLoopback(host) && c.Token == "" && c.TokensFile == "" && c.ClientCA == "" {
		return config.Refuse("ADMIN_ADDR", c.Addr, "without a credential a loopback address",
			"ADMIN_ADDR is %q, which others can reach: set ADMIN_TOKEN, ADMIN_TOKENS_FILE or ADMIN_TLS_CLIENT_CA, or use 127.0.0.1", c.Addr)
	}
	return nil
}

// minTokenLength is the number of characters from which on ADMIN_TOKEN cannot be guessed.
const minTokenLength = 16

// ShortToken returns what to report of an ADMIN_TOKEN that can be guessed, or "". It is no error,
// so that an upgrade does not stop installations that have one.
func (c AdminConfig) ShortToken() string {
	if c.Token == "" || c.Addr == Off || len(c.Token) >= minTokenLength {
		return ""
	}
	return fmt.Sprintf("ADMIN_TOKEN has less than %d characters, so that it can be guessed: logstreamer token makes one", minTokenLength)
}

// credentialPaths returns the paths of the files of certificates and tokens.
func (c AdminConfig) credentialPaths() []string {
	paths := []string{c.TokensFile, c.TLSCert, c.TLSKey, c.ClientCA}
	return slices.DeleteFunc(paths, func(path string) bool { return path == "" })
}

// UnixPath returns the path in an address of a Unix socket.
func (c AdminConfig) UnixPath() (path string, ok bool) { return strings.CutPrefix(c.Addr, "unix:") }

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
