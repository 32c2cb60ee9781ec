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

// Config is the configuration of one analyzer; the tags are those of package config. All
// fields except ID and URL are common to all analyzers.
type Config struct {
	ID string
	// URL is the base URL; packets are sent to its path + /ingest.
	URL string

	// QueuePackets is the maximum number of packets bound to the analyzer.
	QueuePackets int `env:"PER_ANALYZER_QUEUE_SIZE" min:"1" reload:"live" help:"maximum packets bound to one analyzer and not yet delivered"`
	// Concurrency is the maximum number of requests in flight.
	Concurrency int `env:"SENDER_CONCURRENCY" min:"1" max:"1024" reload:"live" help:"maximum requests in flight to one analyzer"`
	// Linger is the minimum interval between the starts of requests to an analyzer that
	// accepts NDJSON, except for full batches and for packets whose emitters wait for
	// the delivery.
	Linger time.Duration
	// Retries is the number of further requests at this analyzer before a packet is
	// rerouted.
	Retries int `env:"SENDER_RETRIES" min:"0" reload:"live" help:"retries at the same analyzer before a packet is rerouted"`
	// Timeout is the timeout of one request.
	Timeout time.Duration `env:"SENDER_TIMEOUT_MS" format:"milliseconds" min:">0" reload:"live" help:"timeout of one request to an analyzer in milliseconds"`
	// ProbeInterval and ProbeTimeout apply to GET /health.
	ProbeInterval time.Duration `env:"HEALTH_CHECK_INTERVAL_SEC" format:"seconds" min:">0" reload:"live" help:"seconds between health probes"`
	ProbeTimeout  time.Duration `env:"HEALTH_CHECK_TIMEOUT_SEC" format:"seconds" min:">0" reload:"live" help:"timeout of one health probe in seconds"`
	// MaxFailures is the number of consecutive failures that opens the breaker.
	MaxFailures int `env:"MAX_FAILURES" min:"1" reload:"live" help:"consecutive failures until an analyzer is unhealthy"`
	// SlowStart is the time in which the weight of a recovered analyzer grows.
	SlowStart time.Duration `env:"SLOW_START_SEC" format:"seconds" min:"0" reload:"live" help:"seconds in which the weight of a recovered analyzer ramps up"`
}

// maxHalfOpenPackets is the maximum number of packets bound to a half-open analyzer, and
// the number of successful requests that closes its breaker.
const maxHalfOpenPackets = 3

// DefaultConfig returns the documented defaults.
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

// Validate returns an error if the URL is invalid; the tags bound the other settings.
func (c Config) Validate() error {
	_, err := c.parseURL()
	return err
}

// ErrUser is returned for a URL that contains an @. Such a URL is never logged unredacted.
var ErrUser = errors.New("an analyzer's URL must have no user or password (an @ in its path is written %40)")

// WithoutUser returns text with everything before its last @ redacted, except an http or
// https scheme.
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
		plain := url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path} // the query may contain a secret
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

// isPort accepts an empty port, the default of the scheme.
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
