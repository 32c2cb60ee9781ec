package registration

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/discovery"
)

// Config is where and as what an analyzer registers; the tags are those of package config.
type Config struct {
	// Distributors are the admin APIs; without one the analyzer registers nowhere.
	Distributors URLs    `env:"REGISTER" help:"admin APIs of the distributors to register at, URL,URL,…, such as http://distributor:8081"`
	Weight       float64 `env:"REGISTER_WEIGHT" flag:"weight" min:">0" max:"1000" help:"with -register: weight of the group or, without one, of this analyzer"`
	Group        string  `env:"REGISTER_GROUP" flag:"group" help:"with -register: group that this analyzer is a member of, whose members divide the weight"`
	ID           string  `env:"REGISTER_ID" flag:"id" help:"with -register: id of this analyzer at the distributors (default: host name and port)"`
	Advertise    string  `env:"REGISTER_ADVERTISE" flag:"advertise" help:"with -register: URL at which distributors reach this analyzer (default: LISTEN_ADDR, or the address from which it reaches the distributor, and its port)"`
	TokenFile    string  `flag:"token-file" help:"with -register: file with the bearer token; without it the environment's ADMIN_TOKEN is the token"`
	CA           string  `env:"ADMIN_CA" flag:"ca" help:"with -register: file with the certificates that sign the distributors'; without it those of the system"`
	// Token is the bearer token if there is no TokenFile. It has no flag, since other users
	// of the machine can read the arguments of a process.
	Token string
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config { return Config{Weight: 1} }

// URLs are URLs of admin APIs.
type URLs []string

// String returns the URLs as UnmarshalText parses them.
func (u URLs) String() string { return strings.Join(u, ",") }

// UnmarshalText parses URLs that are separated by commas.
func (u *URLs) UnmarshalText(text []byte) error {
	*u = nil
	for one := range strings.SplitSeq(string(text), ",") {
		if one = strings.TrimSpace(one); one != "" {
			*u = append(*u, one)
		}
	}
	return nil
}

// Validate returns an error that names the key, its value and what is allowed.
func (c Config) Validate() error {
	if len(c.Distributors) == 0 {
		return nil
	}
	var errs []error
	if c.ID != "" && !discovery.IsID(c.ID) {
		errs = append(errs, fmt.Errorf("REGISTER_ID is %q: it must be %s", c.ID, discovery.IDForm))
	}
	if c.Group != "" && !discovery.IsGroupName(c.Group) {
		errs = append(errs, fmt.Errorf("REGISTER_GROUP is %q: it must be %s", c.Group, discovery.GroupForm))
	}
	if base, err := url.Parse(c.Advertise); c.Advertise != "" && (err != nil || base.Host == "" || base.User != nil) {
		errs = append(errs, errors.New("REGISTER_ADVERTISE must be a URL such as http://analyzer-1:9001, without user and password"))
	}
	secure := false
	for _, one := range c.Distributors {
		secure = secure || strings.HasPrefix(one, "https:")
		if err := (adminclient.Config{URL: one}).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("REGISTER: %w", err))
		}
	}
	if c.CA != "" && !secure {
		errs = append(errs, fmt.Errorf("ADMIN_CA is %q: it needs an https URL in REGISTER", c.CA))
	}
	return errors.Join(errs...)
}

// client returns the configuration of the client of an admin API.
func (c Config) client(distributor string) adminclient.Config {
	client := adminclient.Config{URL: distributor, TokenFile: c.TokenFile, Token: c.Token, Timeout: requestTimeout}
	if strings.HasPrefix(distributor, "https:") {
		client.CA = c.CA
	}
	return client
}
