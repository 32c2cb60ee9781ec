package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Config is what users set for an analyzer. All but ID, URL and Weight is the
// same for all analyzers.
type Config struct {
	ID string
	// URL is the analyzer's base; packets go to its path + /ingest.
	URL    string
	Weight float64

	// QueuePackets bounds the packets bound to the analyzer and not delivered.
	QueuePackets int
	// Concurrency is the number of requests under way at once.
	Concurrency int
	// Spacing is how far apart requests begin, at least, to an analyzer that
	// takes several packets in one, unless they carry as much as they may or a
	// packet's emitter waits for its delivery.
	Linger time.Duration
	// Retries is how many further tries a packet gets here before it is
	// returned.
	Retries int
	// Timeout bounds one request.
	Timeout time.Duration
	// ProbeInterval and ProbeTimeout are those of GET /health.
	ProbeInterval, ProbeTimeout time.Duration
	// MaxFailures in a row make the analyzer unhealthy.
	MaxFailures int
	// SlowStart is how long a returning analyzer's weight grows.
	SlowStart time.Duration
}

// trials is how many packets an analyzer on trial may hold.
const maxHalfOpenPackets = 3

// DefaultConfig is the contract's.
func DefaultConfig() Config {
	return Config{
		QueuePackets:  10_000,
		Concurrency:   8,
		Retries:       3,
		Timeout:       500 * time.Millisecond,
		ProbeInterval: 30 * time.Second,
		ProbeTimeout:  2 * time.Second,
		MaxFailures:   5,
		SlowStart:     10 * time.Second,
	}
}

// Validate tells which setting cannot be, by its environment name.
func (c Config) Validate() error {
	if _, err := c.parseURL(); err != nil {
		return err
	}
	for _, rule := range []struct {
		name  string
		value any
		ok    bool
		want  string
	}{
		{"PER_ANALYZER_QUEUE_SIZE", c.QueuePackets, c.QueuePackets > 0, "at least 1"},
		{"SENDER_CONCURRENCY", c.Concurrency, c.Concurrency > 0 && c.Concurrency <= 1024, "1 to 1024"},
		{"SENDER_RETRIES", c.Retries, c.Retries >= 0, "0 or more"},
		{"SENDER_TIMEOUT_MS", c.Timeout, c.Timeout > 0, "more than 0"},
		{"HEALTH_CHECK_INTERVAL_SEC", c.ProbeInterval, c.ProbeInterval > 0, "more than 0"},
		{"HEALTH_CHECK_TIMEOUT_SEC", c.ProbeTimeout, c.ProbeTimeout > 0, "more than 0"},
		{"MAX_FAILURES", c.MaxFailures, c.MaxFailures > 0, "at least 1"},
		{"SLOW_START_SEC", c.SlowStart, c.SlowStart >= 0, "0 or more"},
	} {
		if !rule.ok {
			return fmt.Errorf("%s is %v: it must be %s", rule.name, rule.value, rule.want)
		}
	}
	return nil
}

// ErrUser is why a URL with an @ is refused. Such a URL is never shown as it is.
var ErrUser = errors.New("an analyzer's URL must have no user or password (an @ in its path is written %40)")

// WithoutUser returns text in which a URL may have a user or a password without all
// that could be either.
func WithoutUser(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme := ""
	for _, known := range []string{"http://", "https://"} {
		if strings.HasPrefix(text, known) {
			scheme = known
		}
	}
	return scheme + "xxxxx" + text[at:]
}

func (c Config) parseURL() (*url.URL, error) {
	if strings.Contains(c.URL, "@") {
		return nil, fmt.Errorf("ANALYZERS: %q: %w", WithoutUser(c.URL), ErrUser)
	}
	if strings.Count(c.URL, "://") > 1 {
		return nil, fmt.Errorf("ANALYZERS: %q is more than one URL: analyzers are separated by commas", c.URL)
	}
	base, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("ANALYZERS: %q is no URL: %w", c.URL, err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "" {
		return nil, fmt.Errorf("ANALYZERS: %q must look like http://host:port", c.URL)
	}
	if base.RawQuery != "" || base.Fragment != "" {
		plain := url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path} // a query may have a secret, too
		return nil, fmt.Errorf("ANALYZERS: %q must have no query or fragment", plain.String())
	}
	if !isHost(base.Hostname()) {
		return nil, fmt.Errorf("ANALYZERS: %q: the host %q must be an address, or a name of letters, digits, '-', '_' and '.'", c.URL, base.Hostname())
	}
	if !isPort(base.Port()) {
		return nil, fmt.Errorf("ANALYZERS: %q: the port must be 1 to 65535", c.URL)
	}
	return base, nil
}

func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	return strings.Trim(text, allowed) == ""
}

// isPort takes none for the scheme's.
func isPort(text string) bool {
	number, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && number > 0
}

func (c Config) breaker() breaker.Config {
	config := breaker.DefaultConfig()
	config.MaxFailures = c.MaxFailures
	config.MaxProbeInterval = min(c.ProbeInterval, config.MaxProbeInterval)
	config.InitialCooldown = min(config.InitialCooldown, c.ProbeInterval)
	config.HalfOpenRequests = maxHalfOpenPackets
	return config
}

func hostPort(base *url.URL) string {
	if base.Port() != "" {
		return base.Host
	}
	if base.Scheme == "https" {
		return net.JoinHostPort(base.Hostname(), "443")
	}
	return net.JoinHostPort(base.Hostname(), "80")
}

func tlsConfig(base *url.URL) *tls.Config {
	if base.Scheme != "https" {
		return nil
	}
	return &tls.Config{ServerName: base.Hostname(), MinVersion: tls.VersionTLS12}
}
