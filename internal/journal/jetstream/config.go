package jetstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// Config is what users set for the streams; the tags are those of package config.
type Config struct {
	Servers Servers `env:"NATS_URL" help:"comma-separated URLs of NATS servers, for JOURNAL=jetstream, such as nats://nats-1:4222,nats://nats-2:4222"`
	Creds   string  `env:"NATS_CREDS" help:"file of the NATS user's credentials (default: none)"`
	CA      string  `env:"NATS_CA" help:"PEM file of the CAs that sign the NATS servers' certificates; enables TLS (default: those of the system)"`
	Cert    string  `env:"NATS_CERT" help:"PEM file of the client certificate for NATS, with its chain (default: none)"`
	Key     string  `env:"NATS_KEY" help:"PEM file of the key of the client certificate for NATS"`
	// Monitor is where /jsz of the servers can be read; empty is port 8222 of Servers.
	Monitor  Servers `env:"NATS_MONITOR_URL" help:"comma-separated URLs of the NATS servers' monitoring ports, to check sync_interval (default: port 8222 of NATS_URL)"`
	Stream   string  `env:"JETSTREAM_STREAM" help:"first part of the streams' names, with JOURNAL=jetstream"`
	Replicas int     `env:"JETSTREAM_REPLICAS" min:"1" max:"5" help:"servers that keep each stream; 1 survives no loss of a server's disk"`
	// Partitions is the number of streams.
	Partitions int   `env:"JETSTREAM_PARTITIONS" min:"1" max:"64" help:"number of streams"`
	MaxBytes   int64 `env:"JETSTREAM_MAX_BYTES" format:"bytes" min:"1 MiB" help:"maximum size of all streams together in bytes, such as 10GiB; each server that keeps a stream reserves its part"`
	// MemoryLimitBytes bounds the packets in memory.
	MemoryLimitBytes int64
}

// DefaultConfig returns the defaults; Servers must be set.
func DefaultConfig() Config {
	return Config{Stream: "LOGSTREAMER", Replicas: 3, Partitions: 3, MaxBytes: 1 << 30}
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

// list returns the URLs.
func (s Servers) list() []string {
	var all []string
	for part := range strings.SplitSeq(string(s), ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

var streamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Validate returns an error for each setting that cannot be.
func (c Config) Validate() error {
	var errs []error
	if len(c.Servers.list()) == 0 {
		errs = append(errs, errors.New("NATS_URL is required with JOURNAL=jetstream: nats://HOST:4222, several separated by commas"))
	}
	errs = append(errs, c.Servers.validate("NATS_URL", "nats", "tls"), c.Monitor.validate("NATS_MONITOR_URL", "http", "https"), c.validateCertificate())
	if !streamName.MatchString(c.Stream) {
		errs = append(errs, fmt.Errorf("JETSTREAM_STREAM is %q: it must be 1 to 64 letters, digits, _ and -", c.Stream))
	}
	if c.Replicas%2 == 0 {
		errs = append(errs, fmt.Errorf("JETSTREAM_REPLICAS is %d: it must be 1, 3 or 5, since a majority must be up", c.Replicas))
	}
	return errors.Join(errs...)
}

func (c Config) validateCertificate() error {
	if (c.Cert == "") != (c.Key == "") {
		return fmt.Errorf("NATS_CERT is %q and NATS_KEY is %q: a certificate and its key go together", c.Cert, c.Key)
	}
	return nil
}

func (s Servers) validate(key string, schemes ...string) error {
	for _, one := range s.list() {
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || u.Scheme != schemes[0] && u.Scheme != schemes[1] {
			return fmt.Errorf("%s has %q: it must be a URL with %s:// or %s://", key, withoutUser(one), schemes[0], schemes[1])
		}
	}
	return nil
}

// monitors returns the URLs at which /jsz is tried.
func (c Config) monitors() []string {
	if set := c.Monitor.list(); len(set) > 0 {
		return set
	}
	const usualPort = "8222"
	var all []string
	for _, one := range c.Servers.list() {
		if u, err := url.Parse(one); err == nil {
			all = append(all, "http://"+net.JoinHostPort(u.Hostname(), usualPort))
		}
	}
	return all
}

// streamOf and subjectOf return the names of a partition's stream and subject.
func (c Config) streamOf(partition int) string  { return fmt.Sprintf("%s-%d", c.Stream, partition) }
func (c Config) subjectOf(partition int) string { return fmt.Sprintf("%s.%d", c.Stream, partition) }

// maxBytesOf is the size of one stream.
func (c Config) maxBytesOf() int64 { return max(c.MaxBytes/int64(c.Partitions), 1) }
